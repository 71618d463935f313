"""Import of optional dependencies with an error that says how to install them."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from types import ModuleType


def import_optional(name: str, *, extra: str, caller: str) -> ModuleType:
    """Import an optional module or say which extra brings it.

    Parameters
    ----------
    name : str
        Name of the module, such as ``"transformers"`` or ``"matplotlib.pyplot"``.
    extra : str
        The extra of sklvyso that installs it, such as ``"text"``.
    caller : str
        Who needs it: the class or function that the user called.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    ImportError
        If the module is not installed.

    Examples
    --------
    >>> from sklvyso._optional import import_optional
    >>> import_optional("math", extra="plot", caller="a test").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f"{caller} needs '{package}'. "
            f'Install it with: pip install "sklvyso[{extra}]"'
        ) from error
