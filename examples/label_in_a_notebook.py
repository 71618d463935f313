"""Label texts in a notebook with buttons: ``from label_in_a_notebook import labeller``.

    learner = PretrainedActiveLearner(encoder, classes=["ham", "spam"]).fit(texts)
    labeller(learner, save_to="campaign.pkl")

Needs ipywidgets; without it, it says how to label with plain calls.
"""

ADVICE = """ipywidgets is not installed. Label with plain calls instead:
    rows = learner.query()
    for row, text in zip(rows, learner.pool_rows(rows)): print(row, text)
    learner.teach(rows, [...]); learner.save("campaign.pkl")"""


class Session:
    """What the buttons do, without any widget: one text after the other."""

    def __init__(self, learner, *, batch=10, save_to=None):
        self.learner = learner
        self.batch = batch
        self.save_to = save_to
        self.asked = list(learner.query(batch))

    @property
    def text(self):
        """The text that waits for an answer; None at the end."""
        if not self.asked:
            return None
        return self.learner.pool_rows([self.asked[0]])[0]

    def answer(self, label):
        """Take a label, or None to skip; fit after each batch."""
        row = self.asked.pop(0)
        if label is None:
            self.learner.skip([row])
        else:
            self.learner.teach([row], [label], refit=False)
        if not self.asked:
            self.learner.teach([], [])
            self.asked = list(self.learner.query(self.batch))
        if self.save_to is not None:
            self.learner.save(self.save_to)

    def state(self):
        """How far it is."""
        return f"{len(self.learner.labeled_indices_)} labels"


def labeller(learner, *, batch=10, save_to=None):
    """Return a box of buttons that teaches the learner."""
    session = Session(learner, batch=batch, save_to=save_to)
    try:
        import ipywidgets as widgets
    except ImportError:
        print(ADVICE)
        return session
    text = widgets.HTML()
    state = widgets.Label()

    def show():
        shown = "Everything is labelled." if session.text is None else session.text
        # Escaped: texts are not markup.
        text.value = f"<p style='max-width:60em'>{_escaped(str(shown))}</p>"
        state.value = session.state()

    def button(name, label):
        made = widgets.Button(description=str(name))

        def clicked(_):
            if session.text is not None:
                session.answer(label)
                show()

        made.on_click(clicked)
        return made

    buttons = [button(label, label) for label in learner.classes_]
    buttons.append(button("skip", None))
    show()
    return widgets.VBox([text, widgets.HBox(buttons), state])


def _escaped(text):
    import html

    return html.escape(text)
