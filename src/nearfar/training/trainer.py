"""The one loop, for every modality and every method. It knows nothing of pictures, text or losses."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import torch

from nearfar.core import devices
from nearfar.core.console import Console
from nearfar.core.errors import CollapseWarning, Stopped, TrainingError, WorseWarning
from nearfar.core.randomness import derive
from nearfar.core.schema import fits, within
from nearfar.evaluation import verdict
from nearfar.methods.embeddings import Embeddings
from nearfar.methods.schedule import Schedule, WarmupCosine
from nearfar.models import setup, stored
from nearfar.models.run import Run
from nearfar.objectives.kernel.checks import NotFinite
from nearfar.training import allocator, distributed, health, loggers, narrowing, optim, weight_averaging
from nearfar.training.best import Best, Summary
from nearfar.training.gradient_cache import backward, check_chunk
from nearfar.training.learner import Learner
from nearfar.training.plan import warm_start
from nearfar.training.plan.prepare import Plan
from nearfar.training.stopping import Ticker, stop_signals
from nearfar.training.viewer import Viewer
from nearfar.training.watch import Watch, encode_rows
from nearfar.training.weight_averaging import Average

ON_DEVICE_SHARE = 4  # a column is kept on the GPU if it fits in this share (a quarter) of its memory


@dataclass
class Position:
    """Where a training is: enough, with the tensors of a checkpoint, to go on bit for bit."""

    step: Annotated[int, within(0)] = 0  # steps done
    seconds: Annotated[float, within(0)] = 0.0  # spent training, over all sittings
    monitor: health.Seen = field(default_factory=health.Seen)
    best: Summary = field(default_factory=dict)
    losses: list[float | None] = field(default_factory=list)  # of the steps since the last line of metrics
    news: dict[str, float | None] = field(default_factory=dict)  # of the positives, for the next line


class Trainer:
    """A learner, its optimiser and its position. Metrics and checkpoints go into `run`, if there is one."""

    def __init__(self, plan: Plan, run: Run | None, console: Console, *, fresh: bool = True) -> None:
        # Where the training does not begin, its weights come from a checkpoint, and no pretrained ones are fetched.
        config = plan.config
        self.plan, self.run, self.console, self.config = plan, run, console, config
        self.world = distributed.world()
        self.device = torch.device(config.train.device)
        torch.set_num_threads(config.train.threads)
        self.learner = warm_start.make_learner(plan, self.world, fresh=fresh).to(self.device)
        narrowing.narrow(self.learner, plan, None if fresh else run)
        check_chunk(self.learner, config.train.chunk)
        if config.train.wrap != "shard":  # shards must be contiguous
            devices.channels_last(self.learner)
        if config.train.compile:
            for branch in self.learner.branches.values():
                branch.encoder.compile()
        if self.world.size > 1 and plan.record.bn_groups == 1 and not config.train.chunk:
            distributed.synchronise_batch_norm(self.learner)
        self.model = distributed.wrap(self.learner, self.device, config.train.wrap)
        o = config.optim
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]
        self.optimizer = optim.build(self.learner, o.name, o.lr, o.weight_decay, o.momentum)
        self.schedule = WarmupCosine(o.lr, o.warmup, o.lr * o.final_lr)
        self.decay = Schedule(o.weight_decay, o.weight_decay if o.final_decay is None else o.final_decay)
        self.positives = copy.copy(plan.positives)  # those of the plan stay as they were before the first step
        self.sampler = plan.sampler(self.positives)
        columns = {name: _placed(c, self.device) for name, c in plan.columns.items()}
        self.viewer = Viewer(
            columns, plan.recipes, plan.record.count, self.positives, config.train.seed, self.device, self.world,
            plan.ignore, plan.scores, [replace(h, column=_placed(h.column, self.device)) for h in plan.hard],
            plan.table.within,
        )  # fmt: skip
        self.watch = Watch(plan, self.viewer)
        self.position = Position()
        self.average = Average(config.train.average, plan.steps)
        self.best = Best(plan)
        self.monitor = health.Monitor(plan.record, rows=config.train.batch_size)
        self.metrics: list[dict[str, Any]] = []  # lines of this sitting
        self.losses: list[torch.Tensor] = []  # of this process's rows, since the last line
        self.news: dict[str, float] = {}
        self.loggers: list[Callable[[dict[str, Any]], None]] = []

    def cast(self) -> AbstractContextManager[Any]:
        """The context of the networks' forward passes: their precision. Backward passes are outside of it."""
        return devices.autocast(self.device, self.config.train.precision)

    def save(self) -> None:
        """Write a checkpoint (process 0; the others take part in gathering shards)."""
        if self.losses:
            self.check_finite(self.losses[-1])  # a checkpoint that is there is kept
        self.position.losses = self._since_the_last_line().tolist() if self.losses else []
        distributed.average_buffers(self.learner)
        tensors = distributed.full_state(self.model)
        kept = narrowing.whole(self.learner, optim.state_tensors(self.optimizer, self.learner))
        tensors |= {f"optimizer/{k}": v for k, v in kept.items()}
        tensors |= {f"positives/{k}": v for k, v in self.positives.state().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.state(self.learner.branches).items()}
        tensors |= {f"best/{k}": v for k, v in self.best.state(self.learner.branches).items()}
        if self.run is not None and self.world.is_main:
            self.position.monitor, self.position.news = self.monitor.seen, dict(self.news)
            self.position.best = self.best.summary()
            self.run.save_checkpoint(tensors, asdict(self.position) | {"made": stored.fixed(self.config)})

    def whole(self) -> Learner:
        """The learner with whole tensors, also where its parameters are shared out (all processes take part)."""
        if self.config.train.wrap != "shard" or self.world.size == 1:
            return self.learner
        whole = warm_start.make_learner(self.plan, self.world, fresh=False)
        distributed.load_state(whole, distributed.full_state(self.model))
        return whole

    def finished(self) -> Learner:
        """The learner to leave: whole, the best state, averaged if that was asked for (all processes take part)."""
        learner = self.whole()
        self.best.agree(self.world)
        if self.best.step not in (None, self.position.step):
            learner = copy.deepcopy(learner)
            self.best.give(learner.branches, self.world)
        learner = narrowing.widened(learner)
        count, share = self.average.count, self.config.train.interpolate
        if count or share:
            learner = copy.deepcopy(learner).to(self.device)
            if count:
                self.console.say(f"The weights of the last {count} steps are averaged.")
                self.average.give(learner.branches, self.learner.branches)
            if share:
                begun = [name for name, c in self.plan.by_column.items() if c.pretrained]
                self.console.say(
                    f"{share:g} of the weights that the encoders of {', '.join(begun)} began with are kept."
                )
                first = warm_start.make_learner(self.plan, self.world).branches
                weight_averaging.interpolate(learner.branches, first, share, begun)
            weight_averaging.renew_statistics(learner, self.viewer, self.sampler, self.config)
        setup.scale(learner.branches, self.plan.columns, self.plan.train, self.config.train.precision)
        return learner

    def load(self, *, dry: bool = False) -> None:
        """Go back to the last checkpoint of the run; `dry` leaves its lines of metrics."""
        tensors, state = self.run.load_checkpoint()
        where = str(self.run.checkpoint_file)
        stored.check_made(state.pop("made", {}), stored.fixed(self.config), str(self.run.config_file))
        fits(state, Position, where, "state")
        tensors = narrowing.fitting(self.learner, tensors)

        def those_of(part: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)}

        distributed.load_state(self.model, tensors)
        self.learner.check_parts(where)
        kept = narrowing.rows(self.learner, those_of("optimizer/"))
        optim.load_state_tensors(self.optimizer, self.learner, kept)
        self.positives.go_on(those_of("positives/"), where)
        self.position = Position(**state)
        done, branches = self.position.step, self.learner.branches
        self.losses = [torch.tensor(math.nan if x is None else x, device=self.device) for x in self.position.losses]
        self.news = dict(self.position.news)
        self.average.restore(those_of("average/"), branches, done)
        self.best.restore(self.position.best, those_of("best/"), branches, done, where)
        self.monitor.seen = self.position.monitor = health.Seen(**state.get("monitor", {}))
        if self.world.is_main and not dry:
            self.run.cut_metrics(done)

    def step(self, rows: np.ndarray, epoch: int, index: int) -> tuple[torch.Tensor, Embeddings, dict[str, Any]]:
        """Views, loss, gradient, weights, twin and parts: one whole step. The loss is a tensor still on the device."""
        train, total = self.config.train, self.plan.steps
        done = self.position.step / total
        batch = replace(self.viewer.batch(rows, epoch, index), step=self.position.step, progress=done)
        noise = derive(train.seed, "dropout", epoch, index)
        rate = self.schedule.value(self.position.step, total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            if not group.get("plain"):
                group["weight_decay"] = self.decay.at(done)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            if train.chunk:
                loss, numbers, embeddings = backward(self.learner, batch, train.chunk, noise, self.cast)
                distributed.average_gradients(self.parameters)
            else:
                torch.manual_seed(noise)
                with self.cast():
                    loss, numbers, embeddings = self.model(batch)
                loss.backward()
        except NotFinite as e:
            raise self.not_finite() from e
        if self.config.optim.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.config.optim.clip, foreach=True)
        self.optimizer.step()
        self.position.step += 1
        self.learner.after_step(embeddings, self.position.step / total)
        return loss.detach(), embeddings, {"lr": rate, **numbers}

    def fit(self, ends: Callable[[int], bool] | None = None) -> None:
        """Train to the end, saving by time; raises `Stopped`, once the step is saved, by a signal or ``stop_after``.

        `ends` is asked after every step with the number of steps done; true ends this sitting there. A further `fit`
        goes on from that step, to the same weights as without the pause.
        """
        total, per_epoch, train = self.plan.steps, self.sampler.steps_per_epoch, self.config.train
        ticker = Ticker(train.checkpoint_every, train.stop_after, self.world)
        self.loggers = loggers.opened(train.log, self.run) if self.world.is_main else []
        self.learner.train()
        ahead = self.viewer.expecting(self.sampler, self.position.step, total)
        shown_by = self.console.progress("training", total, "steps")
        with allocator.kept(), stop_signals() as stopped, ahead, shown_by as progress:
            progress.advance(self.position.step - len(self.losses))
            # Before the first look, which may compare with them.
            found = not self.position.step and self._look_for_positives()
            if not self.position.step and not self.monitor.seen.start:
                self._look_first()
            order, began, counted = None, time.perf_counter(), 0
            while self.position.step < total:
                epoch, index = divmod(self.position.step, per_epoch)
                if self.position.step in self.watch.due and self._spent():
                    break
                if found or self._look_for_positives() or order is None or index == 0:
                    order, found = self.sampler.order(epoch), False
                started = time.perf_counter()
                loss, embeddings, numbers = self.step(self.sampler.batch(epoch, index, order), epoch, index)
                self.average.follow(self.learner.branches, self.position.step)
                self.losses.append(loss)
                counted += 1
                self.position.seconds += time.perf_counter() - started
                ends_epoch = index == per_epoch - 1
                # Reading a loss waits for the GPU, so there it is looked at once a line; a processor is never ahead.
                if len(self.losses) == train.log_every or ends_epoch or self.device.type == "cpu":
                    self.check_finite(loss)
                looks = self.position.step in self.watch.due
                if looks or ends_epoch or len(self.losses) >= train.log_every:
                    speed = counted * len(order[: train.batch_size]) / (time.perf_counter() - began)
                    shown = self._log(embeddings, numbers, epoch, ends_epoch, speed)
                    progress.advance(len(self.losses), **shown)
                    self.losses, began, counted = [], time.perf_counter(), 0
                due, code = ticker.asks(self.position.step, stopped())
                if (code or due) and self.position.step < total:
                    self.save()
                if code and self.position.step < total:
                    self.world.barrier()  # none ends before all is written: those that are left behind are ended
                    hint = f"Pass --resume --out {self.run.path} to go on." if self.run else None
                    saved = "; everything is saved" if hint else ""
                    raise Stopped(
                        f"stopped after step {self.position.step} of {total}{saved}.", exit_code=code, hint=hint
                    )
                if ends is not None and ends(self.position.step):
                    break
        self.save()

    def _spent(self) -> bool:
        """Whether held-out rows have gained nothing for too long: what process 0 finds, for all."""
        if not self.best.patience or not self.world.any([self.world.is_main and self.best.spent()])[0]:
            return False
        self.console.say(f"Held-out rows gain nothing after step {self.best.step:,}: training ends at step "
                         f"{self.position.step:,} of at most {self.plan.steps:,} (train.patience).")  # fmt: skip
        return True

    def _look_for_positives(self) -> bool:
        """Let the positives be found again where that is due: by process 0, for all. Returns whether they were."""
        positives, step = self.positives, self.position.step
        if not positives.due(step):
            return False
        learner, columns = self.whole(), self.viewer.columns
        on = self.device, self.config.train.precision

        def encode(rows: np.ndarray, column: str = next(iter(columns))) -> np.ndarray:
            return encode_rows(learner, columns[column], rows, *on).cpu().numpy()

        if self.world.is_main:
            self.news |= positives.refresh(step, encode)
        if self.world.size > 1:
            positives.restore({name: self.world.from_main(x) for name, x in sorted(positives.state().items())})
        return True

    def check_finite(self, loss: torch.Tensor) -> None:
        """Raise a `TrainingError` where a loss, or that of another process, is not finite."""
        if not math.isfinite(float(self.world.all_reduce(loss))):
            raise self.not_finite()

    def not_finite(self) -> TrainingError:
        """The error of a loss that is not finite."""
        kept = "The last good checkpoint is kept." if self.run and self.run.checkpoint_file.exists() else ""
        return TrainingError(
            f"the loss is not finite at step {self.position.step}.",
            hint=f"{kept} Lower --lr, set optim.clip=1, or use --precision fp32.".strip(),
        )

    def _since_the_last_line(self) -> torch.Tensor:
        """Losses of the global batches since the last line of metrics, (steps,)."""
        return self.world.all_reduce(torch.stack(self.losses)) / self.world.size

    def _log(
        self, e: Embeddings, numbers: dict[str, Any], epoch: int, ends_epoch: bool, speed: float
    ) -> dict[str, Any]:
        """Write a line of metrics, with a look at held-out rows where that is due. Returns what the bar shows."""
        row = {
            "step": self.position.step, "epoch": epoch + ends_epoch, "loss": float(self._since_the_last_line().mean()),
            **{k: float(v) for k, v in (numbers | self.news).items()},
            "seconds": round(self.position.seconds, 3), "rows_per_second": round(speed, 1),
        }  # fmt: skip
        self.news = {}
        z, features = (next(t for t in side if t is not None).detach() for side in (e.online, e.features))
        others = [t for t in (*e.online[1:], *e.target) if t is not None]
        row |= self.monitor.measure(z, features, others[0].detach() if others else None)
        if row["step"] in self.watch.due:
            row |= self.watch.look(self.learner)
            self.best.look(row, self.learner.branches)
        for watched, kind in ((self.monitor.update, CollapseWarning), (self.monitor.look, WorseWarning)):
            for sentence in watched(row["step"], self.plan.steps, row):
                self.console.warn(sentence, kind)
        self._write(row)
        return {k: row[k] for k in ("loss", "rank", *verdict.WATCHED) if row.get(k) is not None}

    def _look_first(self) -> None:
        """Look at what is there before the first step, which the later looks are compared with."""
        begun = self.watch.begun(self.learner, self.sampler)
        if figures := self.watch.first(begun):
            row = {"step": 0, "epoch": 0, "seconds": 0.0, **figures}
            self.best.look(row, begun.branches)
            self.monitor.look(0, self.plan.steps, figures)
            self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        """One more line of metrics."""
        self.metrics.append(row)
        if self.run is not None and self.world.is_main:
            self.run.append_metrics(row)
        for log in self.loggers:
            log(row)


def _placed(column: Any, device: torch.device) -> Any:
    """The column on the GPU if it fits in a quarter of its memory; else where it is."""
    if device.type != "cuda":
        return column
    room = torch.cuda.get_device_properties(device).total_memory // ON_DEVICE_SHARE
    return column.to(device) if column.values.nbytes <= room and not column.streams else column
