"""Snakemake, asking Slurm for news every two seconds whatever happens. The plug-in waits ten seconds longer after each
time that nothing had ended, and no option of it says otherwise; a test's jobs last seconds."""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

SECONDS = 2

if __name__ == "__main__":
    Executor.next_seconds_between_status_checks = property(lambda self: SECONDS, lambda self, wanted: None)
    sys.argv[0] = "snakemake"
    main()
