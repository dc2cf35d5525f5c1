"""python -m tests.gpu.one_run JSON: train a run and measure it, in a process of its own."""

import json
import sys


def main(text: str) -> None:
    """Do what the JSON says: the keys of `plan`, `dataset`, `trained`, `state` and `measured`."""
    from flatness.experiment.training import TrainingPlan, train
    from flatness.measurement.run import measure_run

    words = json.loads(text)
    train(TrainingPlan(**words["plan"]), words["dataset"], words["trained"], words["state"])
    if words["measured"]:
        measure_run(
            words["trained"],
            words["dataset"],
            words["measured"],
            dataset_name="digits",
            chunk_size=100,
            minibatch_window=100,
            curvature_options={"probes": 2, "exact_products": 100},
        )


if __name__ == "__main__":
    main(sys.argv[1])
