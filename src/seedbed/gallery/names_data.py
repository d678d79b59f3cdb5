"""Surnames of ten languages, from the lists that come inside the package faker."""

from __future__ import annotations

import functools
import importlib
from collections import Counter
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError

# Language to the parts of faker whose lists hold its surnames: those of Latin letters that have hundreds.
LANGUAGES = {
    "Croatian": ("hr_HR",),
    "Dutch": ("nl_NL",),
    "English": ("en_GB",),
    "Finnish": ("fi_FI",),
    "French": ("fr_FR",),
    "German": ("de_DE", "de_AT"),
    "Irish": ("ga_IE",),
    "Italian": ("it_IT",),
    "Slovak": ("sk_SK",),
    "Spanish": ("es_ES",),
}
FAKER = "40.63.0"  # the lists change from version to version
MOST = 800  # of each language, evenly from its sorted list, so that none is much more likely than another
LETTERS = 14  # of a name; further ones are cut off


@functools.lru_cache(1)
def read() -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Names as letters' numbers [names, 14], 0 where a name has ended; their languages [names], as places in
    ``LANGUAGES``; and how many letters' numbers there are.

    A name that several languages have is left out.
    """
    try:
        version = metadata.version("faker")
    except metadata.PackageNotFoundError:
        raise InputError("the surnames come inside faker: pip install 'seedbed[gallery]'") from None
    if version != FAKER:
        raise InputError(
            f"the surnames are those of faker {FAKER}, and {version} is installed, whose lists may differ: "
            f"pip install faker=={FAKER}"
        )
    found = [_names(places) for places in LANGUAGES.values()]
    languages_of = Counter(name for names in found for name in names)
    kept = [_evenly(sorted(name for name in names if languages_of[name] == 1), MOST) for names in found]
    alphabet = {
        letter: number for number, letter in enumerate(sorted({c for names in kept for n in names for c in n}), 1)
    }
    rows, languages = [], []
    for language, names in enumerate(kept):
        for name in names:
            numbers = [alphabet[letter] for letter in name]
            rows.append(numbers + [0] * (LETTERS - len(numbers)))
            languages.append(language)
    return np.array(rows, dtype=np.int64), np.array(languages, dtype=np.int64), len(alphabet) + 1


def _names(places: tuple[str, ...]) -> set[str]:
    lists = (importlib.import_module(f"faker.providers.person.{place}").Provider.last_names for place in places)
    return {name.lower()[:LETTERS] for names in lists for name in names}


def _evenly(names: list[str], most: int) -> list[str]:
    if len(names) <= most:
        return names
    return [names[place * len(names) // most] for place in range(most)]
