"""What goes on tells how far it is."""

import pytest

from flatness.progress.share import done, heard, listening, part, step


@pytest.fixture
def told():
    """All shares that are heard."""
    shares = []
    with listening(shares.append):
        yield shares


def test_nobody_needs_to_listen():
    assert not heard()
    with part(0.5), step(0.5):
        done(1)


def test_parts_of_parts_are_shares_of_the_whole(told):
    done(0.5)
    with part(0.5):
        done(0.5)
        with part(0.5):
            done(1)
    assert told == [0.5, 0.25, 0.25]
    assert heard()


@pytest.mark.parametrize("within", [[], [0.5], [0.5, 0.75], [1, 1]])
def test_a_step_is_done_at_its_end_whatever_is_told_within(told, within):
    with step(0.5):
        for share in within:
            done(share)
        assert sum(told) <= 0.5
    assert sum(told) == 0.5


def test_a_step_that_fails_is_not_done(told):
    with pytest.raises(ZeroDivisionError), step(0.5):
        _ = 1 / 0
    assert told == []
