"""A scikit-learn model as a trial: what the network's seed does, and what the split does.

seedbed run examples/sklearn_trial.py:digits -s 0:20
seedbed run examples/sklearn_trial.py:digits --init 0:8 --split 0:8
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import seedbed as sb


@sb.trial(larger_is_better={"test/accuracy": True})
def digits(init: int, split: int, trial: sb.Recorder, hidden: int = 16, epochs: int = 20) -> dict[str, float]:
    """A small network on scikit-learn's digits. One generator of its own draws weights and order alike."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, test_size=0.3, random_state=split, stratify=y)
    model = MLPClassifier((hidden,), random_state=init, max_iter=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is told to stop early
        model.fit(x_train, y_train)
    for epoch, loss in enumerate(model.loss_curve_, start=1):
        trial.log(epoch, {"train/loss": loss})
    predicted = model.predict(x_test)
    trial.predictions("test", predicted, y_test, classes=10)
    return {"test/accuracy": float((predicted == y_test).mean()), "train/loss": model.loss_}
