"""Points by setting."""

from flatness.figures.points import MARKERS, by_setting
from made_up import analysed_run


def test_runs_are_grouped_by_learning_rate_and_batch_size():
    pairs = [(0.1, 32), (0.1, 8), (0.05, 20), (0.1, 32)]
    runs = [analysed_run(learning_rate=rate, batch_size=size) for rate, size in pairs]
    settings = by_setting(runs)
    assert [setting.label for setting in settings] == [
        "learning rate 0.05, batch size 20 (1 run)",
        "learning rate 0.1, batch size 8 (1 run)",
        "learning rate 0.1, batch size 32 (2 runs)",
    ]
    assert [setting.positions for setting in settings] == [[2], [1], [0, 3]]


def test_many_settings_look_different():
    runs = [analysed_run(batch_size=size) for size in range(1, 21)]
    looks = [tuple(setting.look.items()) for setting in by_setting(runs)]
    assert len(set(looks)) == 20
    assert len({dict(look)["marker"] for look in looks}) == len(MARKERS)
