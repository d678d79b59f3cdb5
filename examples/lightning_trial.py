"""A Lightning module as a trial, with a seed for the initial weights and one for the order of the data.

seedbed run examples/lightning_trial.py:blobs --init 0:8 --order 0:8
seedbed decompose blobs
"""

import logging
import tempfile
import warnings
from typing import Any

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import seedbed as sb

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(lightning.LightningModule):
    """Three layers on two inputs."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        inputs, classes = batch
        return nn.functional.cross_entropy(self.net(inputs), classes)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def rows(count: int, seed: int) -> TensorDataset:
    """Points around three centres: inputs [count, 2] and classes [count]."""
    draw = torch.Generator().manual_seed(seed)
    classes = torch.randint(3, (count,), generator=draw)
    centres = torch.tensor([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]])
    return TensorDataset(centres[classes] + 0.6 * torch.randn(count, 2, generator=draw), classes)


@sb.trial
def blobs(init: int, order: int, trial: sb.Recorder, lr: float = 0.01, epochs: int = 5) -> dict[str, float]:
    """Accuracy on points that were not trained on."""
    lightning.seed_everything(init, verbose=False)
    model = Classifier(lr)
    loader = DataLoader(rows(300, 1), batch_size=20, shuffle=True, generator=torch.Generator().manual_seed(order))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few workers, and of a logger that is not there
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(model, loader)
    inputs, classes = rows(200, 2).tensors
    with torch.no_grad():
        outputs = model.net(inputs)
    trial.predictions("test", outputs.argmax(1), classes, classes=3)
    return {
        "test/accuracy": (outputs.argmax(1) == classes).float().mean().item(),
        "test/loss": nn.functional.cross_entropy(outputs, classes).item(),
    }
