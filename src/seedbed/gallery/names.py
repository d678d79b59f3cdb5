"""names: a small transformer that tells the language of a surname."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery import checks, names_data
from seedbed.gallery.classifying import classifier
from seedbed.gallery.splitting import split_rows

HELD_OUT = {"val": 700, "test": 1000}


class Encoder(nn.Module):
    """A transformer encoder over the letters of a name, [batch, letters] with 0 for none; one output a language."""

    def __init__(self, letters: int, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.letters = nn.Embedding(letters, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(names_data.LETTERS, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, len(names_data.LANGUAGES))

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the languages, [batch, languages]: of the mean over a name's letters."""
        missing = x == 0
        encoded = self.encoder(self.letters(x) + self.places, src_key_padding_mask=missing)
        there = (~missing).unsqueeze(-1).to(encoded.dtype)
        out: Tensor = self.head((encoded * there).sum(1) / there.sum(1))
        return out


def _data(split: int) -> Data:
    rows, languages, _ = names_data.read()
    return split_rows(rows, languages, HELD_OUT, split)


@experiment
def names(
    lr: float = 0.002,
    batch_size: int = 64,
    epochs: int = 15,
    width: int = 32,
    heads: int = 4,
    layers: int = 2,
    dropout: float = 0.1,
) -> Experiment:
    """The names experiment: which of ten languages a surname is of.

    Args:
        lr: learning rate of AdamW.
        batch_size: rows a step.
        epochs: passes over the training rows.
        width: size of what stands for a letter.
        heads: of attention in each layer; ``width`` is a multiple of it.
        layers: of the encoder.
        dropout: share that is dropped in training.
    """
    checks.at_least_one(width=width, heads=heads, layers=layers)
    checks.share(dropout=dropout)
    if width % heads:
        raise InputError(f"width must be a multiple of heads, got {width} and {heads}")
    model = functools.partial(Encoder, names_data.read()[2], width, heads, layers, dropout)
    return classifier("names", model, _data, torch.optim.AdamW, lr=lr, batch_size=batch_size, epochs=epochs)
