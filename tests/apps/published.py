"""Published applications with Alembic migrations, as their own people run them.

    published.py APPLICATION start          what the application does when it starts and works
    published.py APPLICATION ALEMBIC...     a command of Alembic with the application's own scripts

DATABASE_URL says where, and nothing in it says in which schema. None of the applications' code is here: the packages
are installed beside.
"""

import logging
import os
import re
import sys

# Nothing is told to anybody elsewhere, and what is logged comes in no order.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
logging.disable(logging.WARNING)

URL = os.environ["DATABASE_URL"]


def optuna_config():
    import optuna.storages._rdb as package
    from alembic.config import Config

    folder = os.path.dirname(package.__file__)
    config = Config(os.path.join(folder, "alembic.ini"))
    config.set_main_option("script_location", os.path.join(folder, "alembic"))
    return config


def optuna_start():
    import optuna

    storage = optuna.storages.RDBStorage(URL)
    study = optuna.create_study(storage=storage, study_name="search", load_if_exists=True)
    before = len(study.trials)
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=2)
    storage.upgrade()
    again = optuna.load_study(storage=storage, study_name="search")
    print("trials", len(again.trials) - before, "at head", storage.get_current_version() == storage.get_head_version())


def mlflow_config():
    from mlflow.store.db.utils import _get_alembic_config

    return _get_alembic_config(URL)


def mlflow_start():
    import mlflow
    from mlflow.store.db import utils
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    mlflow.set_tracking_uri(URL)
    store = SqlAlchemyStore(URL, "/nowhere")
    mlflow.set_experiment("search")
    found = mlflow.search_runs(output_format="list")
    with mlflow.start_run():
        mlflow.log_param("depth", 3)
        mlflow.log_metric("loss", 0.5)
    utils._verify_schema(store.engine)
    print("runs", len(mlflow.search_runs(output_format="list")) - len(found))


def main():
    name, verb, *rest = sys.argv[1:]
    if verb == "start":
        return {"optuna": optuna_start, "mlflow": mlflow_start}[name]()
    from alembic import command

    config = {"optuna": optuna_config, "mlflow": mlflow_config}[name]()
    config.set_main_option("sqlalchemy.url", URL.replace("%", "%%"))
    getattr(command, verb)(config, *rest)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        # A check's differences in an order of their own, without addresses.
        found = getattr(error, "diffs", None)
        lines = [repr(one) for one in found] if found else str(error).splitlines()
        lines = sorted(re.sub(" at 0x[0-9a-f]+", "", line) for line in lines) if found else lines
        sys.exit(type(error).__name__ + ": " + " | ".join(lines))
