"""Studies: their arrival, and their settling into resources."""

from __future__ import annotations

from gateway import mapping
from gateway.assembly.dicom_destinations import notifying_consequences
from gateway.clock import Clock
from gateway.config.ehrs import Ehr
from gateway.config.studies import GIGABYTE
from gateway.config.tree import Config
from gateway.journey.study_arrival.pixels import PixelKeeping
from gateway.journey.study_arrival.quiet_learning import QuietLearning
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.study_arrival.transfers import Transfers
from gateway.journey.study_settling.station import ImagingStudyStation, ReadAgain
from gateway.journey.study_settling.targets import EhrTarget
from gateway.records.quiet_time import LearningRule, QuietTimes
from gateway.records.study import CONTAINED_ENDPOINT, Shape
from gateway.store import Store
from gateway.web import dicomweb, facade
from gateway.wire.dimse.negotiation import storage_syntaxes


def make_arrival(
    config: Config,
    store: Store,
    mappings: mapping.Mappings,
    clock: Clock,
    transfers: Transfers | None = None,
    pixels: PixelKeeping | None = None,
) -> StudyArrival:
    own = config.studies
    by_modality = {modality: _micros(seconds) for modality, seconds in own.quiet_seconds_of.items()}
    quiet, longest = QuietTimes(_micros(own.quiet_seconds), by_modality), _micros(own.longest_wait_seconds)
    of_studies = mappings.studies
    return StudyArrival(store, of_studies.keywords, of_studies.rules, quiet, clock, longest, transfers, pixels)


def quiet_learning(config: Config, store: Store, arrival: StudyArrival) -> QuietLearning | None:
    """What learns the quiet times of stations; None where the site does not want that."""
    own = config.studies.learnt_quiet
    if own.percentile is None:
        return None
    rule = LearningRule(own.percentile, _micros(own.least_seconds), _micros(own.most_seconds))
    return QuietLearning(store, rule, arrival.adopt_quiet_times)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def storing_of(config: Config, arrival: StudyArrival) -> dicomweb.Storing | None:
    """How instances are taken over DICOMweb; None: they are not."""
    stow, dicom = config.studies.stow, config.dicom
    if not stow.enabled:
        return None
    classes = storage_syntaxes(frozenset(dicom.storage_classes))
    room = dicomweb.Room(dicom.max_object_bytes, arrival.new_file, dicom.temporary_folder, classes)
    return dicomweb.Storing(arrival, room, round(stow.max_request_gb * GIGABYTE))


def study_settling(
    config: Config,
    store: Store,
    mappings: mapping.Mappings,
    clock: Clock,
    read_again: ReadAgain | None = None,
) -> ImagingStudyStation:
    targets = [EhrTarget(ehr.name, shape_of(ehr), ehr.patient == "create") for ehr in config.ehrs]
    served = Shape(endpoint=facade.ENDPOINT) if config.facade.enabled else None
    return ImagingStudyStation(
        store,
        mappings.studies,
        targets,
        clock,
        longest_wait=_micros(config.studies.longest_wait_seconds),
        read_again=read_again,
        learns=config.studies.learnt_quiet.percentile is not None,
        served=served,
        zone=config.site.zone,
        consequences=notifying_consequences(config, clock),
        policies=config.studies.order_checks.policies,
    )


def shape_of(ehr: Ehr) -> Shape:
    """The form in which `ehr` wants a study."""
    instances = {"all": None, "none": 0}.get(str(ehr.instances), ehr.instances)
    assert not isinstance(instances, str)
    endpoint = CONTAINED_ENDPOINT if ehr.endpoints else ""
    return Shape(ehr.fhir_version, ehr.resource, ehr.series == "all", instances, endpoint)
