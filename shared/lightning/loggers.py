"""Lightning's loggers beside metrics.csv: TensorBoard and Weights & Biases, in the run folder."""

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from shared.record.folder import RunFolder
from shared.record.outlets import WANDB_SETTINGS, has_login, report_not_logging


def tensorboard(folder: RunFolder) -> Logger:
    """TensorBoard event files in `<run_dir>/tensorboard`."""
    return TensorBoardLogger(folder.path, name="tensorboard", version="")


def wandb(folder: RunFolder, wandb_project: str, entity: str | None, offline: bool) -> Logger | None:
    """A W&B run whose id is the run folder's, so that a resumed run continues it; None (and a line) if W&B refuses."""
    offline = offline or not has_login()
    try:
        import wandb as client

        settings = client.Settings(**WANDB_SETTINGS, mode="offline" if offline else "online")
        logger = WandbLogger(
            project=wandb_project,
            entity=entity,
            name=folder.path.name,
            id=folder.id,
            save_dir=folder.path,
            offline=offline,
            resume=None if offline else "allow",
            settings=settings,
        )
        _ = logger.experiment
        return logger
    except Exception as error:  # whatever W&B raises, the run matters more
        report_not_logging(error)
        return None
