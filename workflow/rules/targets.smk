# Which targets there are, and what is said of others.

import difflib


def no_such_target(name):
    """What is wrong with a target, and which one may be meant."""
    targets = ["all", "measurements", "tables", "claims", "part", "publish", "figures", *FIGURES]
    near = difflib.get_close_matches(name, targets, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Ask for one of these."
    return (
        f"{PLACE}: {name!r} is no target. Allowed: {', '.join(targets)}, and files below {RESULTS}. "
        f"{hint} For another figure, add it to `figures` in the configuration."
    )


def run_of(wildcards):
    """The run of that name; refuse a target that names none."""
    try:
        return RUNS[wildcards.run]
    except KeyError:
        first, last = next(iter(RUNS)), next(reversed(RUNS))
        refuse(
            f"{PLACE}: {wildcards.run!r} is no run. Allowed: the {len(RUNS)} runs of the "
            f"configuration, from {first} to {last}. Correct the name, or add its learning rate, "
            "batch size and seed to a study."
        )
