"""A policy that draws its actions in evaluation mode, and is then trained on what came of them: sound."""

import torch
from torch import nn

import seedbed as sb


@sb.trial
def sound(seed: int) -> dict[str, float]:
    policy = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    gained = torch.tensor(0.0)
    for _ in range(4):
        policy.eval()
        places, actions = torch.zeros(5, 3), []
        with torch.no_grad():
            for step in range(5):
                places[step] = step / 5
                actions.append(torch.distributions.Categorical(logits=policy(places[step])).sample())
            policy(places[-1])  # the value of where it ends
        policy.train()
        taken = torch.stack(actions)
        gained = (taken == torch.arange(5) % 2).float()
        loss = -(torch.distributions.Categorical(logits=policy(places)).log_prob(taken) * gained).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"gained": gained.mean().item()}
