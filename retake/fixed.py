"""What every job finds fixed in its environment, whoever starts it. Standard library only."""

FIXED = {  # one capability and no hidden parallelism: other settings change the last bits of a result
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2,STRICT",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MPLBACKEND": "Agg",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # gives memory back: a job that reads many tables peaks far lower
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def reaches_out(rule: str) -> bool:
    """Whether jobs of a rule may use the network."""
    return rule.startswith(("fetch_", "download_"))
