"""Where images come from, and what is taken of them."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from flatness.settings.section import MAX_SEED, Folder, Place, Section, key, one_of

# Keys that say only where this machine keeps the same images. They decide no result, so that no
# result is computed anew when they change, and what is published leaves them out.
HERE_ONLY = frozenset({"image_folder"})


class Dataset(Section):
    """Keys that every source of images shares."""

    classes: Literal["all"] | tuple[Annotated[int, Field(ge=0)], ...] = key(
        'Labels of the classes to keep, or "all".', default="all"
    )
    outputs: int = key(
        "Number of outputs N of the network; targets are one-hot over them. With at least "
        "(largest label + 1) outputs a class keeps its label as its output, with exactly as many "
        "outputs as classes it takes its position among the selected labels, in increasing order.",
        unit="outputs",
        ge=1,
    )
    normalisation: Literal["none", "standardise"] = key(
        "`none` divides pixel values by their maximum; `standardise` then subtracts the mean and "
        "divides by the standard deviation of each channel over the training images.",
        default="none",
    )
    samples: int = key(
        "Size of the fixed sample sets `train` and `test`, and the largest size of "
        "`misclassified`, on which quantities are measured.",
        unit="samples",
        default=100,
        ge=1,
    )
    sample_seed: int = key(
        "Seed that draws the sample sets; the same for every run and checkpoint.",
        default=0,
        ge=0,
        le=MAX_SEED,
    )

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes):
        if classes != "all":
            if not classes:
                raise ValueError(
                    'needs at least one label. Name the labels to keep, or write "all"'
                )
            repeated = sorted({label for label in classes if classes.count(label) > 1})
            if repeated:
                raise ValueError(f"has label {repeated[0]} twice. Name each label once")
        return classes

    def identity(self) -> dict[str, Any]:
        """Everything that decides what is prepared, as a mapping."""
        return self.model_dump(exclude=HERE_ONLY)


class TorchvisionDataset(Dataset):
    """A dataset that torchvision knows, in its archives or in class folders of the same images."""

    source: Literal["torchvision"] = key("Where the images come from.")
    dataset: Literal["CIFAR10", "FashionMNIST"] = key("Which of torchvision's datasets.")
    image_folder: Folder | None = key(
        "A folder of the same images in class folders, PATH/train/CLASS/* and PATH/test/CLASS/*, "
        "read in the place of the archives; the prepared dataset is the same. No part of a run's "
        "identity.",
        default=None,
    )


class ImageFolderDataset(Dataset):
    """Image files in class folders: PATH/train/CLASS/* and PATH/test/CLASS/*."""

    source: Literal["image_folder"] = key("Where the images come from.")
    path: Folder = key(
        "Folder that holds `train` and `test`; labels number the class folders in "
        "alphabetical order, from 0.",
    )


class DigitsDataset(Dataset):
    """The 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn."""

    source: Literal["digits"] = key("Where the images come from.")


class FactoryDataset(Dataset):
    """Images that a function outside of the package returns."""

    source: Literal["factory"] = key("May be left out.", default="factory")
    factory: Place = key(
        "`path/to/file.py:function`, relative to the folder Snakemake runs in, or "
        "`package.module:function`. It gets `arguments` and returns a "
        "flatness.experiment.datasets.Images."
    )
    arguments: dict[str, Any] = key("Keyword arguments of the function.", default={})


AnyDataset = one_of("source", TorchvisionDataset, ImageFolderDataset, DigitsDataset, FactoryDataset)
