"""What is public knowledge of torchvision's datasets: no archive has to be opened for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One dataset; label k is entry k of the class names.

    Args:
        archives: files, relative to the data folder.
        class_names: name of each class.
        train_per_class, test_per_class: images of each class.
        input_shape: channels, height and width.
    """

    archives: tuple[str, ...]
    class_names: tuple[str, ...]
    train_per_class: int
    test_per_class: int
    input_shape: tuple[int, int, int]


KNOWN = {
    "CIFAR10": Known(
        ("cifar-10-python.tar.gz",),
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        5000,
        1000,
        (3, 32, 32),
    ),
    "FashionMNIST": Known(
        tuple(
            f"FashionMNIST/raw/{part}-ubyte.gz"
            for split in ("train", "t10k")
            for part in (f"{split}-images-idx3", f"{split}-labels-idx1")
        ),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        6000,
        1000,
        (1, 28, 28),
    ),
}
