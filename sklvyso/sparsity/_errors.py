"""Errors of the room."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause


class UnsupportedModuleError(ValueError):
    """A module does something whose connections are not known.

    The message names the module and the function, and says how to register a rule.

    .. versionadded:: 0.1

    Parameters
    ----------
    message : str
        What cannot be followed, and the mend.

    See Also
    --------
    effective_masks : Raises it.
    sparsity_report : Raises it.
    """

    def __init__(self, message: str):
        super().__init__(message)
