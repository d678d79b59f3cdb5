"""A Hydra application. Its multirun over seeds,

    python examples/hydra_script.py --multirun seed=0,1,2,3,4 lr=0.1

leaves five folders to be read by hand; under Seedbed it is one study:

    seedbed run -s 0:5 -- python examples/hydra_script.py seed={seed} lr=0.1
"""

import json

import hydra
import torch
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig
from torch import nn

ConfigStore.instance().store(name="config", node={"seed": 0, "lr": 0.05, "epochs": 20})


@hydra.main(version_base=None, config_name="config")
def main(config: DictConfig) -> None:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(200, 3, generator=draw)
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + torch.sin(3 * x[:, 0]) + 0.1 * torch.randn(200, generator=draw)
    torch.manual_seed(config.seed)
    model = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
    for _ in range(config.epochs):
        for batch in torch.randperm(150).split(15):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[batch])[:, 0], y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(x[150:])[:, 0], y[150:]).item()
    print(json.dumps({"test/mse": error}))


if __name__ == "__main__":
    main()
