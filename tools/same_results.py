"""Say that the present code of preparing, training and measuring computes the bits of before.

    python -m tools.same_results

rewrites workflow/flatness/jobs/same_results.json. Do it after an edit that changes no bit of a
result, which `python -m flatness verify` shows of measuring on a results folder made before. Where
an edit does change bits, delete the rows of its stage, so that results are computed anew.
"""

import json

from flatness.jobs import same_results, stages

PRESENT = {
    "prepare_dataset": lambda name: stages.preparing_code({"source": name}),
    "train_run": lambda name: stages.training_code({"name": name}),
    "measure_run": lambda name: stages.measuring_code({"name": name}),
}


def in_step() -> dict[str, dict[str, str]]:
    """The rows as they should be for the present code."""
    found = {}
    for stage, row in same_results.rows().items():
        script, name = stage.split()
        present = PRESENT[script](name)
        found[stage] = row if present == row["as"] else row | {"code": present}
    return found


if __name__ == "__main__":
    rows = in_step()
    changed = [stage for stage, row in same_results.rows().items() if rows[stage] != row]
    same_results.FILE.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"{len(changed)} rows rewritten: {', '.join(changed) or 'none'}")
