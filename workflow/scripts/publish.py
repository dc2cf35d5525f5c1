"""Put what came out into one folder that can be published."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    import json
    import shutil
    from pathlib import Path

    import pandas as pd
    import yaml

    from flatness.analysis.condensed import condense
    from flatness.figures.pictures import write_small
    from flatness.settings import load_settings
    from flatness.storage import atomic_path, read_dataset, write_dataset
    from flatness.tables.departures import departures
    from flatness.tables.reproduction import write_reproduction

    given, out = snakemake.params, snakemake.output
    studies = {
        study: [read_dataset(path) for path in paths] for study, paths in given.analyses.items()
    }
    paper = load_settings(yaml.safe_load(Path(snakemake.input.paper).read_text()), "the paper")
    condensed = condense(studies)
    condensed.attrs |= {key: json.dumps(given.settings[key]) for key in ("analysis", "claims")}
    condensed.attrs["departures"] = json.dumps(departures(given.settings, paper.published()))
    write_dataset(condensed, out.netcdf)
    with atomic_path(out.configuration) as temporary:
        temporary.write_text(yaml.safe_dump(given.configuration, sort_keys=False))
    for table, copy in zip(snakemake.input.tables, out.tables, strict=True):
        shutil.copyfile(table, copy)
    for picture, small in zip(snakemake.input.pictures, out.pictures, strict=True):
        write_small(picture, small, given.most_bytes)
    write_reproduction(
        out.page,
        snakemake.input.template,
        settings=given.settings,
        paper=paper.published(),
        runs=studies,
        claims=pd.read_csv(snakemake.input.claims),
        correlations=read_dataset(snakemake.input.correlations),
        figures=given.figures,
        benchmarks=given.benchmarks,
        results=Path(out.page).parents[1],
    )
