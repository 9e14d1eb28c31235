"""Make the demo model: vocabulary, training, GGUF, quantisation.

    python -m tools.demo_model [--output FILE] [--f16 FILE] [--seed N]

Takes 45 minutes on two cores with bfloat16 arithmetic. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import deque
from pathlib import Path
from statistics import fmean

import sentencepiece
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

import llamacy

from .exporting import write_gguf
from .network import Network
from .training import STAGES, train
from .vocabulary import train_vocabulary

OUTPUT = Path(__file__).parents[2] / "llamacy" / "model_files" / "demo.gguf"
SHIPPED_TYPE = "Q6_K"


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Train and write the demo model.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--f16", type=Path, help="keep the unquantised model here")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    vocabulary = sentencepiece.SentencePieceProcessor(
        model_proto=train_vocabulary(arguments.seed)
    )
    network = _trained(vocabulary, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        f16 = arguments.f16 or Path(folder, "demo-F16.gguf")
        write_gguf(f16, network, vocabulary)
        llamacy.quantize(f16, arguments.output, SHIPPED_TYPE)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


def _trained(vocabulary: sentencepiece.SentencePieceProcessor, seed: int) -> Network:
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    )
    with Progress(*columns) as bar:
        n_steps = sum(stage.n_steps for stage in STAGES)
        task = bar.add_task("", total=n_steps, loss=float("nan"))
        recent: deque[float] = deque(maxlen=50)

        def progress(loss: float) -> None:
            recent.append(loss)
            bar.update(task, advance=1, loss=fmean(recent))

        return train(vocabulary, seed, STAGES, progress)


if __name__ == "__main__":
    main()
