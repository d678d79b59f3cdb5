"""Hugging Face's Trainer as a trial: a tiny BERT, made here and not downloaded, learns to tell two kinds of sequences.

seedbed run examples/transformers_trial.py:order_of_marks -s 0:5
"""

import tempfile

import torch
import transformers
from torch.utils.data import Dataset

import seedbed as sb

LENGTH, WORDS, FIRST, SECOND = 12, 20, 3, 4


class Marks(Dataset):
    """Random words in which two marks stand; the class says which of them comes first."""

    def __init__(self, count: int, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.words = torch.randint(5, WORDS, (count, LENGTH), generator=draw)
        places = torch.stack([torch.randperm(LENGTH, generator=draw)[:2] for _ in range(count)])
        self.words.scatter_(1, places, torch.tensor([[FIRST, SECOND]]).expand(count, 2))
        self.classes = (places[:, 0] < places[:, 1]).long()

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.words[row], "labels": self.classes[row]}


@sb.trial
def order_of_marks(seed: int, trial: sb.Recorder, lr: float = 3e-3, epochs: int = 3) -> dict[str, float]:
    """Accuracy on sequences that were not trained on."""
    transformers.set_seed(seed)
    transformers.utils.logging.disable_progress_bar()
    shape = transformers.BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        num_labels=2,
    )
    model = transformers.BertForSequenceClassification(shape)
    with tempfile.TemporaryDirectory() as folder:
        options = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            learning_rate=lr,
            seed=seed,
            logging_steps=10,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = transformers.Trainer(model=model, args=options, train_dataset=Marks(600, 1))
        trainer.train()
        held_out = Marks(300, 2)
        found = trainer.predict(held_out)
    for line in trainer.state.log_history:
        if "loss" in line:
            trial.log(line["step"], {"train/loss": line["loss"]})
    predicted = found.predictions.argmax(1)
    trial.predictions("test", predicted, held_out.classes, classes=2)
    return {
        "test/accuracy": float((predicted == held_out.classes.numpy()).mean()),
        "test/loss": found.metrics["test_loss"],
    }
