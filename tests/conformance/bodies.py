"""One meaningful object of each type, in the order in which they can be created: what is named comes before its user.

The members are those of drp-api.md 7 and 7A that a client may write, set to something that differs from the default, so
that an answer which lost one shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The name of everything that has a name.
NAME = "conformance"
#: The plugin that offers actions, as it calls itself.
PROVIDER = "offers"
#: A param that every bearing object gets.
NOTE = "conformance/note"
#: A param whose values are sealed.
SECRET = "conformance/secret"
#: An address inside the subnet, for the reservation; others follow for leases.
RESERVED = "10.99.0.5"
LEASED = "10.99.0.6"
MAC = "52:54:00:c0:ff:01"
#: The type that the store object declares.
DECLARED = "conformance_gadgets"


def uuid(number: int) -> str:
    """Returns the version 4 UUID with this number."""
    return f"00000000-0000-4000-8000-{number:012x}"


MACHINE = uuid(1)
CLUSTER = uuid(2)
BROKER = uuid(3)
JOB = uuid(4)
ORDER = uuid(5)
BATCH = uuid(6)
ALERT = uuid(7)
#: Objects that are made to be cleaned up, by type.
SPARE = {"machines": uuid(11), "clusters": uuid(12), "resource_brokers": uuid(13)}

META = {"color": "green", "icon": "cog", "title": "Conformance"}
TEXT = {"Description": "made by the conformance run", "Documentation": "One object of each type."}
PARAMS = {"Params": {NOTE: "first"}}
ELEMENT = {"Type": "ContentPackage", "Name": NAME, "Version": "v1.0.0", "ActualVersion": "v1.0.0",
           "ReplaceWritable": True}
PLUGIN = {"Name": NAME, "Provider": NAME, "Description": "none such", "Meta": {}, "Params": {NOTE: "first"}}


@dataclass(frozen=True)
class Fixture:
    """What is done with one type."""

    #: The first segment of its routes.
    prefix: str
    #: The key of its object in URLs.
    key: str
    #: What is posted.
    body: dict[str, Any]
    #: The member that PUT and PATCH change; none when there is no free text.
    member: str | None = "Description"
    #: The values that PUT and PATCH give it.
    values: tuple[Any, Any] = ("put", "patched")
    #: Members that the server decides, so that the answer may differ from what was posted.
    decided: frozenset[str] = frozenset()
    #: Members that an answer may leave out when they are empty.
    optional: frozenset[str] = field(default=frozenset())


def _machine(key: str, name: str, **more: Any) -> dict[str, Any]:
    return {"Uuid": key, "Name": name, "Description": "made by the conformance run", "Arch": "amd64", "OS": "none",
            "Meta": dict(META), **PARAMS, **more}


def _template(name: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Path": "", "ID": "", "Contents": "", "Link": "", "Meta": {}, **more}


# The server fills these of a machine: drp-api.md 7.8 "Create".
_MACHINE_DECIDES = frozenset({"Meta", "Stage", "Tasks", "Context"})
_POOL_OPTIONAL = frozenset({"Description", "Documentation", "ParentPool", "EnterActions", "ExitActions",
                            "AllocateActions", "ReleaseActions", "AutoFill"})

FIXTURES: tuple[Fixture, ...] = (
    Fixture("params", NOTE, {"Name": NOTE, **TEXT, "Meta": META, "Secure": False,
                             "Schema": {"type": "string", "default": "nothing"}}),
    Fixture("roles", NAME, {"Name": NAME, **TEXT, "Meta": META,
                            "Claims": [{"scope": "machines", "action": "get,list", "specific": "*"}]}),
    Fixture("users", NAME, {"Name": NAME, "Description": TEXT["Description"], "Meta": META, "Roles": [NAME]}),
    Fixture("templates", NAME, {"ID": NAME, "Description": TEXT["Description"], "Meta": META,
                                "Contents": "[[ .Machine.Name ]]", "StartDelimiter": "[[", "EndDelimiter": "]]"}),
    Fixture("bootenvs", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "StartDelimiter": "{{", "EndDelimiter": "}}",
        "OnlyUnknown": False, "Kernel": "", "Initrds": [], "BootParams": "",
        "RequiredParams": [], "OptionalParams": [NOTE], "Loaders": {"amd64-uefi": "conformance.efi"},
        "OS": {"Name": NAME, "Family": "none", "Codename": "quiet", "Version": "1", "IsoFile": "", "IsoSha256": "",
               "IsoUrl": "", "SupportedArchitectures": {}},
        "Templates": [_template("ipxe", Path="{{ .Machine.Address }}.conformance", Contents="exit")]}),
    Fixture("tasks", NAME, {
        "Name": NAME, **TEXT, "Meta": {"feature-flags": "sane-exit-codes"}, "RequiredParams": [],
        "OptionalParams": [NOTE], "OutputParams": [NOTE], "Prerequisites": [], "ExtraRoles": [], "ExtraDuration": 60,
        "ExtraClaims": [{"scope": "profiles", "action": "get", "specific": "global"}],
        "Templates": [_template("say", Contents="#!/bin/sh\necho {{ .Machine.Name }}\n", Meta={"OS": "linux"})]}),
    Fixture("profiles", NAME, {"Name": NAME, **TEXT, "Meta": META, "Profiles": [], **PARAMS}),
    Fixture("contexts", NAME, {"Name": NAME, **TEXT, "Meta": META, "Image": "quiet", "Engine": ""}),
    Fixture("stages", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "BootEnv": "", "Tasks": [NAME], "Profiles": [NAME], **PARAMS,
        "RequiredParams": [], "OptionalParams": [NOTE], "OutputParams": [NOTE], "Reboot": False, "RunnerWait": True,
        "Templates": [_template("note", Path="conformance/{{ .Machine.UUID }}", ID=NAME)]}),
    Fixture("workflows", NAME, {"Name": NAME, **TEXT, "Meta": META, "Stages": [NAME]}),
    Fixture("pipelines", NAME, {"Name": NAME, **TEXT, "Meta": META, **PARAMS, "Profiles": [NAME], "Pipelines": []}),
    Fixture("blueprints", NAME, {"Name": NAME, **TEXT, "Meta": META, "Tasks": [NAME], "Profiles": [NAME], **PARAMS,
                                 "Context": "", "Pipeline": "", "Workflow": NAME}),
    Fixture("pools", NAME, {
        "Id": NAME, **TEXT, "Meta": META, "ParentPool": "default",
        "EnterActions": {"AddProfiles": [NAME]}, "ExitActions": {"RemoveProfiles": [NAME]},
        "AutoFill": {"MinFree": 1, "MaxFree": 2}},
        optional=_POOL_OPTIONAL),
    Fixture("subnets", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "Subnet": "10.99.0.1/24", "Enabled": False, "Proxy": False,
        "Unmanaged": False, "NextServer": "10.99.0.1", "ActiveStart": "10.99.0.100", "ActiveEnd": "10.99.0.200",
        "ActiveLeaseTime": 120,
        "ReservedLeaseTime": 7200, "OnlyReservations": False, "Options": [{"Code": 3, "Value": "10.99.0.1"}],
        "Strategy": "MAC", "Pickers": ["hint", "nextFree", "mostExpired"], "AllocateStart": "10.99.0.50",
        "AllocateEnd": "10.99.0.60", "PrefixParameter": "", **PARAMS, "Profiles": [NAME], "SkipDAD": True},
        decided=frozenset({"Options"})),
    Fixture("reservations", RESERVED, {
        "Addr": RESERVED, **TEXT, "Meta": META, "Token": MAC, "Strategy": "MAC", "Scoped": False,
        "NextServer": "10.99.0.1", "Options": [{"Code": 12, "Value": "quiet"}], "Duration": 7200, **PARAMS,
        "Profiles": [NAME], "SkipDAD": True}),
    Fixture("leases", LEASED, {
        "Addr": LEASED, "Meta": META, "Token": "52:54:00:c0:ff:02", "Strategy": "MAC", "State": "ACK",
        "ExpireTime": "2035-01-02T03:04:05Z", "Duration": 3600, "NextServer": "10.99.0.1", "Via": "10.99.0.1",
        "Options": [{"Code": 12, "Value": "quiet"}], "ProvidedOptions": [{"Code": 60, "Value": "x"}], "SkipBoot": True},
        member="Meta", values=({"title": "put"}, {"title": "patched"})),
    Fixture("plugins", NAME, {**PLUGIN, **TEXT, "Meta": META}),
    Fixture("machines", MACHINE, _machine(
        MACHINE, f"{NAME}.example.org", Workflow=NAME, Profiles=[NAME], HardwareAddrs=[MAC], Address=RESERVED,
        Fingerprint={"SSNHash": "", "CSNHash": "", "CloudInstanceID": "none:1", "SystemUUID": uuid(9),
                     "MemoryIds": []}),
        decided=_MACHINE_DECIDES),
    Fixture("clusters", CLUSTER, _machine(CLUSTER, f"{NAME}-cluster"), decided=_MACHINE_DECIDES | {"Profiles"}),
    Fixture("resource_brokers", BROKER, _machine(BROKER, f"{NAME}-broker"), decided=_MACHINE_DECIDES | {"Profiles"}),
    Fixture("jobs", JOB, {"Uuid": JOB, "Machine": MACHINE, "Context": ""}, member="State",
            values=("created", "running"), optional=frozenset({"Token", "ExtraClaims", "Action"})),
    Fixture("trigger_providers", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "Method": "POST", "NoURL": True, "RequiredParameters": [],
        "OptionalParameters": [NOTE], **PARAMS, "Profiles": [NAME]}),
    Fixture("triggers", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "TriggerProvider": NAME, "Enabled": False, "Blueprint": NAME,
        "Filter": "Name=Eq(nobody)", "FilterCount": 1, "AllInFilter": False, "QueueMode": False,
        "MergeDataIntoParams": True, "StoreDataInParameter": NOTE, **PARAMS, "Profiles": [NAME],
        "WorkOrderParams": {NOTE: "ordered"}, "WorkOrderProfiles": [NAME]}),
    Fixture("work_orders", ORDER, {
        "Uuid": ORDER, "Machine": MACHINE, "Blueprint": NAME, "Meta": META, "Mode": "task", "OnFailure": "stop",
        "SchedulingHold": True, **PARAMS, "Profiles": [NAME]},
        member="Status", decided=frozenset({"Profiles", "Params"})),
    Fixture("batches", BATCH, {
        "Uuid": BATCH, "Description": TEXT["Description"], "Meta": META,
        "SetupWorkOrderTemplate": {"Blueprint": NAME, "Machine": MACHINE, "SchedulingHold": True},
        "WorkOrderTemplate": {"Blueprint": NAME}, "PostWorkOrderTemplate": {"Blueprint": NAME}}),
    Fixture("zones", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "Origin": "conformance.example.", "Priority": 10, "Continue": True,
        "TTL": 60, "Filters": [], "Forwarders": ["10.99.0.1"],
        "Records": [{"Name": "www", "Type": "A", "TTL": 60, "Value": ["10.99.0.9"]}]}),
    Fixture("filters", NAME, {
        "Id": NAME, **TEXT, "Meta": META, "Object": "machines", "Queries": [{"Name": "Name", "Op": "Eq", "Value": "x"}],
        "Sort": ["Name"], "Reverse": True, "GroupBy": [], "Slim": "Meta", "ParamSet": NOTE, "Aggregate": True,
        "Decode": False, "Reduced": True, "RangeOnly": False, "ExcludeSelf": True, **PARAMS}),
    Fixture("alerts", ALERT, {
        "Uuid": ALERT, "Name": NAME, "Level": "Warn", "Contents": "nothing is wrong", "Note": "as posted", **PARAMS},
        member="Note"),
    Fixture("activities", NAME, {
        "Id": NAME, "Type": "activities", "ObjectType": "machines", "Identity": MACHINE, "Arch": "amd64", "OS": "none",
        "Cloud": "none", "Context": "", "Platform": "virtual", "Span": "day", "Count": 3, "Deleted": False,
        "Fingerprint": "none"}, member="Cloud"),
    Fixture("catalog_items", NAME, {
        "Id": NAME, "Meta": META, "Type": "catalog_items", "Name": NAME, "Version": "v1.0.0", "ActualVersion": "v1.0.0",
        "ContentType": "ContentPackage", "Source": "http://127.0.0.1/none", "Shasum256": {"any/any": "0" * 64},
        "NOJQSource": "http://127.0.0.1/none", "Tip": True, "HotFix": True}, member="Source"),
    Fixture("version_sets", NAME, {
        "Id": NAME, **TEXT, "Meta": META, "Apply": False, "DRPVersion": "v4.17.0", "DRPUXVersion": "v4.17.0",
        "Components": [ELEMENT], "Plugins": [], "Prefs": {"defaultStage": "none"}, "Global": {NOTE: "everywhere"},
        "Files": [{"Path": "files/none", "Source": "http://127.0.0.1/none", "Sha256Sum": "0" * 64, "Explode": True}]}),
    Fixture("endpoints", NAME, {
        "Id": NAME, **TEXT, "Meta": META, "HaId": NAME, "Arch": "amd64", "Os": "linux", "Apply": False,
        "VersionSets": [NAME], "DRPVersion": "v4.17.0", "DRPUXVersion": "v4.17.0", "Components": [ELEMENT],
        "Plugins": [], "Prefs": {"defaultStage": "none"}, "Global": {NOTE: "everywhere"}, **PARAMS,
        "SinglePaneDisabled": True,
        "VersionSetsDisabled": True}),
    Fixture("identity_providers", NAME, {
        "Name": NAME, **TEXT, "Meta": META, "DisplayName": "Quiet", "LogoPath": "quiet.png",
        "MetaDataUrl": "http://127.0.0.1/none", "MetaDataBlob": "", "UserAttribute": "user", "GroupAttribute": "groups",
        "GroupToRoles": {"all": [NAME]}, "DefaultRole": NAME, "DenyIfNoGroups": True}),
    Fixture("tenants", NAME, {"Name": NAME, **TEXT, "Meta": META, "Users": [NAME], "Members": {"machines": [MACHINE]}}),
    Fixture("store_objects", DECLARED, {"Name": DECLARED, **TEXT, "Meta": META,
                                        "Properties": {"Weight": {"type": "integer"}}}),
    Fixture("ux_options", NAME, {"Id": NAME, **TEXT, "Meta": META, "Kind": "string", "Default": "quiet", "Global": True,
                                 "Role": True, "User": True, "Hidden": True, **PARAMS}),
    Fixture("ux_settings", NAME, {"Id": NAME, **TEXT, "Meta": META, "Option": NAME, "Target": "global", "Value": "loud",
                                  **PARAMS}),
    Fixture("ux_views", NAME, {
        "Id": NAME, **TEXT, "Meta": META, "ApplicableRoles": [NAME], "BrandingImage": "quiet.png", "BulkTabs": ["jobs"],
        "Columns": {"machines": ["Name"]}, "HideEditObjects": ["users"], "LandingPage": "machines",
        "Classifiers": [{"Title": "Quiet", "Test": "none", "Icon": "cog", "Params": {NOTE: "x"}, "Regex": "x",
                         "Continue": True, "NoAppend": True, "Placeholder": "y"}],
        "MachineFields": ["Name"],
        "Menu": [{"Id": "quiet", "Title": "Quiet", "Items": [{"Id": "one", "Title": "One", "To": "machines"}]}],
        "ParamsRestriction": [NOTE], "ProfilesRestriction": [NAME], "StagesRestriction": [NAME],
        "TasksRestriction": [NAME], "WorkflowsRestriction": [NAME], "Airgap": True, "ShowActiviation": True, **PARAMS}),
)

#: The fixtures by prefix.
BY_PREFIX = {fixture.prefix: fixture for fixture in FIXTURES}

#: A content bundle of one object.
BUNDLE: dict[str, Any] = {
    "meta": {"Name": f"{NAME}-bundle", "Version": "v1.0.0", "Description": "made by the conformance run"},
    "sections": {"params": {"conformance/bundled": {
        "Name": "conformance/bundled", "Secure": False, "Schema": {"type": "string"}}}}}

#: An event of a type that no server knows (drp-api.md 8.2).
EVENT = {"Time": "2035-01-02T03:04:05Z", "Type": "beeblebrox", "Action": "wave", "Key": NAME,
         "Principal": "user:nobody", "Object": {"Heads": 2}}

#: A zone file of one record.
ZONE_FILE = "$ORIGIN imported.example.\n$TTL 60\nwww IN A 10.99.0.10\n"

#: What begins as a release does, and is none.
RELEASE = "PK\x03\x04 no program"

#: The run of a pipeline that the machine is in.
RUN = uuid(99)

#: A call to a pool about the one machine.
ALONE = {"pool/machine-list": [MACHINE], "pool/wait-timeout": "1"}
