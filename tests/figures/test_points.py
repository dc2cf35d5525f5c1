"""Points by setting."""

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from flatness.figures.points import MARKERS, by_setting, title_of_settings
from tests.analysis.made_up import analysed, analysed_run

ACCURACY = 0.999


def test_runs_are_grouped_by_learning_rate_and_batch_size():
    pairs = [(0.1, 32), (0.1, 8), (0.05, 20), (0.1, 32)]
    runs = [analysed_run(learning_rate=rate, batch_size=size) for rate, size in pairs]
    settings = by_setting(analysed(runs), ACCURACY)
    assert [setting.label for setting in settings] == ["0.05, 20", "0.1, 8", "0.1, 32"]
    assert [setting.filled for setting in settings] == [[2], [1], [0, 3]]
    assert title_of_settings(analysed(runs)) == "learning rate of mse, batch size"


def test_runs_that_do_not_interpolate_are_hollow():
    accuracies = [1.0, 0.99, 0.9991]
    runs = [analysed_run(seed=n, train_accuracy=each) for n, each in enumerate(accuracies)]
    (setting,) = by_setting(analysed(runs), ACCURACY)
    assert (setting.filled, setting.hollow) == ([0, 2], [1])
    panel = Figure().subplots()
    x, y = np.array([1, 2, 3]), np.array([4, 5, 6])
    setting.draw(panel, x, y, size=4)
    filled, hollow = panel.collections
    assert np.array_equal(filled.get_offsets(), [[1, 4], [3, 6]])
    assert np.array_equal(hollow.get_offsets(), [[2, 5]])
    assert to_hex(filled.get_facecolor()[0]) == to_hex(setting.look["color"])
    assert len(hollow.get_facecolor()) == 0
    assert np.array_equal(hollow.get_edgecolor(), filled.get_edgecolor())
    assert setting.handle().get_markerfacecolor() == setting.look["color"]
    (only,) = by_setting(analysed(runs[1:2]), ACCURACY)
    assert only.handle().get_markerfacecolor() == "none"


def test_many_settings_look_different():
    runs = [analysed_run(batch_size=size) for size in range(1, 21)]
    looks = [tuple(setting.look.items()) for setting in by_setting(analysed(runs), ACCURACY)]
    assert len(set(looks)) == 20
    assert len({dict(look)["marker"] for look in looks}) == len(MARKERS)
