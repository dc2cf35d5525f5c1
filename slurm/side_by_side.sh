#!/usr/bin/env bash
# Many runs of a study in one SLURM job, as processes side by side that share its GPU:
#
#   sbatch slurm/side_by_side.sh [targets and options of Snakemake] --config runs_per_gpu=16
#
# from the repository's folder. Each run has its own files and log, and goes on from its own last
# checkpoint. A run that fails is tried again and leaves the others alone; a job that is requeued,
# or submitted again, goes on with what is not finished.

# As many runs at a time as there are CPUs, and as runs_per_gpu allows on the GPUs. Options of sbatch
# come before those here; with device: cpu and no GPU, `sbatch --gpus=0 slurm/side_by_side.sh`.
#SBATCH --job-name=flatness
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=4G
#SBATCH --time=1-0
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail
PATH="$PWD/.venv/bin:$PATH"

# With MPS, processes compute on a GPU at the same time; without, they take turns. Uncomment these
# three lines where the site lets users start it.
# export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps_$SLURM_JOB_ID CUDA_MPS_LOG_DIRECTORY=/tmp/mps_$SLURM_JOB_ID
# mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"
# nvidia-cuda-mps-control -d

# A job that was killed leaves its lock; jobs for other seeds may work in the same folder.
exec snakemake --resources gpu="${SLURM_GPUS_ON_NODE:-1}" --cores "${SLURM_CPUS_PER_TASK:-1}" \
  --nolock --rerun-incomplete --keep-going --retries 2 "$@"
