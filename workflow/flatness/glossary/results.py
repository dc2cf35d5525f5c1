"""What a file of results says of each run, beside what was measured (see `publication.results`)."""

from flatness.glossary import Term

RESULTS: dict[str, Term] = {
    "run": Term("", "run", "study, learning rate, batch size and seed"),
    "learning_rate": Term("", "learning rate", "of the optimiser with the loss it is trained with"),
    "learning_rate_in_mse": Term(
        "", "learning rate with which mse takes the same steps", "NaN where there is none"
    ),
    "batch_size": Term("", "batch size", "samples in each mini-batch", "", "samples"),
    "seed": Term("", "seed", "of initial weights and batch order"),
    "loss": Term("", "training loss", "by its name in the configuration"),
    "part": Term("", "part that the run comes from", "number; 1 where there is one part"),
    "checkpoint_count": Term(
        "", "number of checkpoints of the run", "those after them are filled", "", "checkpoints"
    ),
    "stage": Term("", "stage of the workflow", "the rule; measure_layer/LAYER for a middle layer"),
    "wall_time": Term("", "wall time of the job", "its last attempt", "", "s"),
    "peak_memory": Term("", "largest resident set of the job", "as Snakemake saw it", "", "MiB"),
    "output_size": Term("", "size of the job's files", "as they lay on the disk", "", "bytes"),
    "settings": Term("", "settings of the run", "JSON"),
    "dtype": Term("", "floating-point type of network and measurement", "float32 or float64"),
    "dataset": Term("", "dataset", "as named in the configuration"),
    "dataset_checksum": Term("", "checksum of the prepared dataset", "SHA-256"),
    "source": Term("", "program", "name and version"),
    "commit": Term(
        "", "commit of the code that measured", "abbreviated hash; -dirty if files differed"
    ),
    "analysis_commit": Term("", "commit of the code that analysed the run", "as commit"),
    "training": Term("", "what the run was trained with", "JSON, with commit and processor"),
    "measuring": Term("", "how the run was measured", "JSON"),
    "device": Term("", "device the run was trained and measured on", "cpu, or name of the GPU"),
    "machine": Term("", "kind of processor", "as Python's platform.machine()"),
    "processor": Term("", "model of processor", "as the operating system names it"),
    "outputs": Term("$N$", "outputs of the network", "count", "", "outputs"),
    "versions": Term("", "versions of libraries", "JSON"),
    "threads": Term("", "threads of torch", "count", "", "threads"),
    "diverged": Term("", "whether the loss stopped being finite", "1 or 0"),
    "excluded_because": Term("", "why the run does not count", "empty if it counts"),
    "other_attributes": Term("", "other attributes of the run's own file", "JSON"),
}
