# What is done after a call in which no job failed. A workflow that has this one as a module does its own.

from snakemake.logging import logger

from flatness.errors import FlatnessError
from flatness.jobs import states


onsuccess:
    if workflow.is_main_process:
        states.clear_finished(RESULTS)
        if KEEP != "all":
            from flatness.experiment.thinning import thin_measured

            try:
                thin_measured(needing_checkpoints(), KEEP)
            except (FlatnessError, OSError) as error:
                refuse(error)
        if any(job.rule.name == "write_report" for job in workflow.dag.jobs):
            logger.info(f"Report: {rules.write_report.output.page}")
