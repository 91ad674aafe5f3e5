"""MLflow as an optional second place for what a run folder holds anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from segments.errors import MissingExtra

if TYPE_CHECKING:
    from spark_jobs.experiment_settings import Trial


class MlflowTracker:
    """Logs each trial as an MLflow run: settings, every variant's figures, and the run folder's path as a tag.

    Where to is MLflow's own affair (`MLFLOW_TRACKING_URI`).

    Raises:
        MissingExtra: MLflow is not installed.
    """

    def __init__(self, experiment: str) -> None:
        try:
            import mlflow
        except ModuleNotFoundError as error:
            raise MissingExtra.of("tracking", "mlflow") from error
        self._mlflow: Any = mlflow
        mlflow.set_experiment(experiment)

    def record(self, trial: Trial, report: Mapping[str, Any]) -> None:
        """One run: parameters are settings by dotted name, metrics `variant.metric` (`@` becomes `_at_`)."""
        settings = trial.experiment().model_dump(mode="json")
        with self._mlflow.start_run(run_name=trial.name):
            self._mlflow.set_tags({"run": report["run"], "folder": report["folder"]})
            self._mlflow.log_params(
                {key: value for part in ("model", "training") for key, value in _flat(settings[part], part)}
                | {"fields": ",".join(report["fields"])}
            )
            self._mlflow.log_metrics(
                {
                    f"{variant}.{name}".replace("@", "_at_"): value
                    for variant, values in report["metrics"].items()
                    for name, value in values.items()
                    if isinstance(value, float)
                }
            )


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        yield f"{prefix}.{key}", value
