"""The weighers by name, and which of them a configuration uses."""

from oslo_config import cfg

from nova.conf import BadConfiguration
from nova.scheduler.filters import load
from nova.scheduler.weighers.capacity import CPUWeigher, DiskWeigher, RAMWeigher
from nova.scheduler.weighers.group import ServerGroupSoftAffinityWeigher, ServerGroupSoftAntiAffinityWeigher
from nova.scheduler.weighers.history import BuildFailureWeigher
from nova.scheduler.weighers.weigher import Weigher
from nova.scheduler.weighers.work import HypervisorVersionWeigher, IoOpsWeigher, NumInstancesWeigher

ALL = "nova.scheduler.weights.all_weighers"

BUILT_IN: dict[str, type[Weigher]] = {
    kind.__name__: kind
    for kind in (
        RAMWeigher,
        CPUWeigher,
        DiskWeigher,
        IoOpsWeigher,
        NumInstancesWeigher,
        HypervisorVersionWeigher,
        ServerGroupSoftAffinityWeigher,
        ServerGroupSoftAntiAffinityWeigher,
        BuildFailureWeigher,
    )
}


def enabled(conf: cfg.ConfigOpts) -> list[Weigher]:
    """The weighers of [filter_scheduler] weight_classes. Raises BadConfiguration for one that is none.

    Counting servers costs a query of the database. Weighers that need it are among "all" of them only
    when their multiplier is set.
    """
    kinds: dict[str, type[Weigher]] = {}
    for path in conf.filter_scheduler.weight_classes:
        if path == ALL:
            kinds.update({name: kind for name, kind in BUILT_IN.items() if not kind.needs_load or _is_set(conf, kind)})
            continue
        # Upstream's files name the built-in ones by a path of upstream's tree.
        name = path.rpartition(".")[2]
        if name in BUILT_IN and (path == name or path.startswith("nova.scheduler.weights.")):
            kinds[name] = BUILT_IN[name]
        elif "." not in path or path.startswith("nova.scheduler.weights."):
            raise BadConfiguration(
                f"[filter_scheduler] weight_classes: there is no weigher {name}; there are {', '.join(sorted(BUILT_IN))}"
            )
        else:
            kind = load(path, "weight_classes", Weigher)
            kinds[kind.__name__] = kind
    return [kind(conf) for kind in kinds.values()]


def _is_set(conf: cfg.ConfigOpts, kind: type[Weigher]) -> bool:
    where = conf.get_location(kind.multiplier_option, "filter_scheduler")
    return where is not None and where.location not in (cfg.Locations.opt_default, cfg.Locations.set_default)
