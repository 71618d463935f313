"""Texts for `DESCR`: origin, counts, preprocessing, caveats, licence, citation."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

_TEMPLATE = """\
{title}
{underline}

{about}

**Counts:** {counts}
**Shape:** {shape}
**Preprocessing:** none; pixels are 0 to 255 as stored, or divided by 255 on request.
**Caveats:** {caveats}
**Licence:** {licence}
**Citation:** {citation}
"""


def _describe(title: str, **sections: str) -> str:
    return _TEMPLATE.format(title=title, underline="-" * len(title), **sections)


DESCRIPTIONS = {
    "mnist": _describe(
        "MNIST handwritten digits",
        about="Digits written by employees of the US Census Bureau and by high-school "
        "students,\nsize-normalised and centred, remixed from NIST's collections.",
        counts="60,000 training and 10,000 test images; classes of unequal size.",
        shape="28 x 28 pixels, grey, white on black.",
        caveats="nearly solved: simple methods exceed 97 % accuracy.",
        licence="freely redistributed, commonly cited as CC BY-SA 3.0 (Y. LeCun and "
        "C. Cortes).",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning "
        "applied\nto document recognition, Proceedings of the IEEE 86(11), 1998.",
    ),
    "fashion_mnist": _describe(
        "Fashion-MNIST",
        about="Images of articles sold by Zalando, in the format of MNIST.",
        counts="60,000 training and 10,000 test images, 6,000 and 1,000 a class.",
        shape="28 x 28 pixels, grey, light on black.",
        caveats="'Shirt' overlaps with 'T-shirt/top', 'Pullover' and 'Coat': class "
        "accuracies\ndiffer widely.",
        licence="MIT, (c) 2017 Zalando SE.",
        citation="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset "
        "for\nbenchmarking machine learning algorithms, arXiv:1708.07747, 2017.",
    ),
    "kmnist": _describe(
        "Kuzushiji-MNIST",
        about="Cursive Japanese characters (one Hiragana for each of ten rows), in the "
        "format\nof MNIST.",
        counts="60,000 training and 10,000 test images, 6,000 and 1,000 a class.",
        shape="28 x 28 pixels, grey, white on black.",
        caveats="one class holds very different shapes of the same character.",
        licence="CC BY-SA 4.0.",
        citation="T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto, "
        "D. Ha, Deep\nlearning for classical Japanese literature, arXiv:1812.01718, "
        "2018.",
    ),
    "cifar10": _describe(
        "CIFAR-10",
        about="Small photographs of animals and vehicles, a labelled subset of the 80 "
        "million\ntiny images.",
        counts="50,000 training and 10,000 test images, 5,000 and 1,000 a class.",
        shape="32 x 32 pixels, red, green, blue; channel last.",
        caveats="some test images nearly repeat training images.",
        licence="no formal licence; free for research, cite the report.",
        citation="A. Krizhevsky, Learning multiple layers of features from tiny "
        "images,\ntechnical report, University of Toronto, 2009.",
    ),
    "cifar100": _describe(
        "CIFAR-100",
        about="As CIFAR-10, with 100 fine classes (`target`) in 20 coarse ones\n"
        "(`coarse_target`).",
        counts="50,000 training and 10,000 test images, 500 and 100 a fine class.",
        shape="32 x 32 pixels, red, green, blue; channel last.",
        caveats="some test images nearly repeat training images.",
        licence="no formal licence; free for research, cite the report.",
        citation="A. Krizhevsky, Learning multiple layers of features from tiny "
        "images,\ntechnical report, University of Toronto, 2009.",
    ),
    "svhn": _describe(
        "SVHN, street view house numbers (cropped digits)",
        about="Digits cut from photographs of house numbers; the digit in the middle "
        "counts.",
        counts="73,257 training and 26,032 test images; classes of unequal size.",
        shape="32 x 32 pixels, red, green, blue; channel last.",
        caveats="neighbouring digits are visible; the files' label 10 is digit 0 here.",
        licence="for non-commercial use only.",
        citation="Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng, Reading "
        "digits in\nnatural images with unsupervised feature learning, NIPS workshop, "
        "2011.",
    ),
}
