"""Made-up archives that torchvision takes for the published ones, and their images as files."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from flatness.experiment.datasets import Images
from flatness.experiment.datasets.from_torchvision import KNOWN

# Images of each class in the archive of `publish_cifar10`, from five batches and from one.
TRAIN_PER_CLASS, TEST_PER_CLASS = 5, 1


def publish_cifar10(data_folder: Path, monkeypatch, more: Mapping[str, bytes] = {}) -> None:
    """Put a small archive into the data folder and make it the one that torchvision knows.

    Args:
        data_folder: made if it is absent.
        monkeypatch: of the test, at whose end torchvision knows the published archive again.
        more: members of other names or contents that are added, by their names.
    """
    from torchvision import datasets

    theirs = datasets.CIFAR10
    draw = np.random.default_rng(0)
    folder, sound = theirs.base_folder, {}
    for name, _ in theirs.train_list + theirs.test_list:
        data = draw.integers(0, 256, (10, 3072), dtype=np.uint8)
        labels = draw.permutation(10).tolist()
        sound[name] = pickle.dumps({"data": data, "labels": labels}, protocol=2)
    meta = pickle.dumps({"label_names": list(KNOWN["CIFAR10"].class_names)}, protocol=2)
    path = data_folder / theirs.filename
    path.parent.mkdir(exist_ok=True)
    inside = {f"{folder}/{name}": content for name, content in sound.items()}
    write_archive(path, inside | {f"{folder}/batches.meta": meta} | dict(more))
    known = {name: hashlib.md5(content).hexdigest() for name, content in sound.items()}
    for split in ("train_list", "test_list"):
        changed = [[name, known[name]] for name, _ in getattr(theirs, split)]
        monkeypatch.setattr(theirs, split, changed)
    monkeypatch.setattr(theirs, "meta", theirs.meta | {"md5": hashlib.md5(meta).hexdigest()})
    monkeypatch.setattr(theirs, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """A compressed archive of members with these names and contents."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_class_folders(images: Images, folder: Path) -> None:
    """The images as PNG in class folders; the files' names are in another order than the images.

    A "/" in a class's name is "_" in its folder's.
    """
    draw = np.random.default_rng(1)
    for split in ("train", "test"):
        pixels, labels = getattr(images, f"{split}_images"), getattr(images, f"{split}_labels")
        for number, position in enumerate(draw.permutation(len(labels))):
            name = images.class_names[labels[position]].replace("/", "_")
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            picture = np.squeeze(pixels[position].transpose(1, 2, 0))
            Image.fromarray(picture).save(folder / split / name / f"{number:05d}.png")
