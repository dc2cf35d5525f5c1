"""What a prepared dataset holds."""

from flatness.glossary import Term

_PIXELS = "pixel values as stored in the source; by label, then by the SHA-256 of the pixels"

DATASET: dict[str, Term] = {
    "train_images": Term("", "training images", _PIXELS),
    "test_images": Term("", "test images", _PIXELS),
    "train_labels": Term("", "labels of the training images", "as numbered in the source"),
    "test_labels": Term("", "labels of the test images", "as numbered in the source"),
    "class_label": Term("", "labels of the selected classes", "as numbered in the source"),
    "class_output": Term("", "output that stands for each class", "0 to outputs - 1"),
    "class_name": Term("", "names of the selected classes", "as named in the source"),
    "offset": Term("", "offset of each channel", "input = (pixel / pixel_max - offset) / scale"),
    "scale": Term("", "scale of each channel", "input = (pixel / pixel_max - offset) / scale"),
    "train_samples": Term(
        "", "sample set `train`", "positions among the training images", "", "images"
    ),
    "test_order": Term(
        "",
        "fixed order of the test images",
        "the first ones are the sample set `test`; misclassified ones are taken in this order",
        "",
        "images",
    ),
}
