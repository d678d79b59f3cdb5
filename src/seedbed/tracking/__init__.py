"""Studies in the trackers of others: MLflow, TensorBoard, Weights & Biases. Each package is loaded when its callback is
made."""

from seedbed.tracking.mlflow_runs import MLflowCallback
from seedbed.tracking.tensorboard_files import TensorBoardCallback
from seedbed.tracking.wandb_runs import WandbCallback

__all__ = ["MLflowCallback", "TensorBoardCallback", "WandbCallback"]
