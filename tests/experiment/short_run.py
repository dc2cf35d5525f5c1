"""The digits as an entry of `datasets` in the configuration, and a short run on them."""

from flatness.experiment.training import TrainingPlan

DIGITS = {
    "source": "digits",
    "classes": "all",
    "outputs": 10,
    "normalisation": "none",
    "samples": 30,
    "sample_seed": 0,
}

PLAN = TrainingPlan(
    run="short",
    network={"name": "mlp", "activation": "tanh", "hidden_width": 30, "hidden_layers": 2},
    loss="half_squared_error",
    learning_rate=0.1,
    batch_size=20,
    seed=0,
    iterations=150,
    early_checkpoints=4,
    late_checkpoints=4,
    device="cpu",
    threads=1,
    iterations_per_graph=0,
)
