"""Every public callable with a valid call, room by room."""

import functools
import importlib

import sklvyso

ROOMS = sklvyso._ROOMS


@functools.cache
def cases_of(room):
    """Return the cases of one room."""
    return tuple(importlib.import_module(f"tests.fuzz.rooms.{room}").cases())


def every_case():
    """Return the cases of all rooms."""
    return [case for room in ROOMS for case in cases_of(room)]
