"""MLflow, filled from the jobs' records. No job imports mlflow; the store can be deleted and filled again."""

from retake.tracking.sync import Report, StoreError, sync

__all__ = ["Report", "StoreError", "sync"]
