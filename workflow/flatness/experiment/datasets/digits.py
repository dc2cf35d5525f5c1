"""The 1,797 handwritten digits that ship inside scikit-learn: 8x8 pixels, values 0 to 16."""

import numpy as np

from flatness.experiment.datasets import Description, Images

# The images come in the order in which people wrote them, so the last ones are by
# other hands than the first. There is no official split.
TRAIN_IMAGES = 1437
TRAIN_COUNTS = (143, 146, 142, 146, 144, 145, 144, 143, 141, 143)
TEST_COUNTS = (35, 36, 35, 37, 37, 37, 37, 36, 33, 37)
PIXEL_MAX = 16


def describe(dataset, data_folder) -> Description:
    """Ten digits, the first 1,437 images for training and the last 360 for testing."""
    return Description(tuple("0123456789"), TRAIN_COUNTS, TEST_COUNTS)


def input_shape(dataset) -> tuple[int, int, int]:
    """One channel of 8x8 pixels."""
    return 1, 8, 8


def load(dataset, data_folder) -> Images:
    """Read the digits from the installed scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images[:, np.newaxis].astype(np.uint8)
    labels = digits.target.astype(np.int64)
    return Images(
        class_names=tuple("0123456789"),
        pixel_max=PIXEL_MAX,
        train_images=images[:TRAIN_IMAGES],
        train_labels=labels[:TRAIN_IMAGES],
        test_images=images[TRAIN_IMAGES:],
        test_labels=labels[TRAIN_IMAGES:],
    )
