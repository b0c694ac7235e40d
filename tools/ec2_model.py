"""Write nova/api/ec2/model.json, the wire format of EC2's actions, out of botocore's public model: tools/ec2_model.py.

It needs botocore (test-requirements.txt). Run it when an action is added to ACTIONS, and commit what it writes.
"""

import gzip
import json
import sys
from pathlib import Path

import botocore

VERSION = "2016-11-15"
TABLE = Path(__file__).parents[1] / "nova/api/ec2/model.json"

ACTIONS = """
DescribeRegions DescribeAvailabilityZones DescribeAccountAttributes
RunInstances DescribeInstances DescribeInstanceStatus StartInstances StopInstances RebootInstances TerminateInstances
DescribeInstanceAttribute ModifyInstanceAttribute ResetInstanceAttribute DescribeInstanceTypes
GetConsoleOutput GetPasswordData
CreateKeyPair ImportKeyPair DeleteKeyPair DescribeKeyPairs
CreateTags DeleteTags DescribeTags
DescribeImages CreateImage RegisterImage CopyImage DeregisterImage
DescribeImageAttribute ModifyImageAttribute ResetImageAttribute
CreateSecurityGroup DeleteSecurityGroup DescribeSecurityGroups
AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress
AllocateAddress ReleaseAddress AssociateAddress DisassociateAddress DescribeAddresses
CreateVolume DeleteVolume DescribeVolumes DescribeVolumeStatus AttachVolume DetachVolume ModifyVolume
CreateSnapshot DeleteSnapshot DescribeSnapshots
DescribeVpcs DescribeSubnets DescribeNetworkInterfaces DescribeRouteTables DescribeInternetGateways
"""


def main() -> int:
    source = Path(botocore.__file__).parent / f"data/ec2/{VERSION}/service-2.json.gz"
    model = json.loads(gzip.decompress(source.read_bytes()))
    shapes: dict[str, object] = {}
    operations = {}
    for action in sorted(ACTIONS.split()):
        ends = [model["operations"][action].get(end, {}).get("shape") for end in ("input", "output")]
        operations[action] = ends
        for shape in filter(None, ends):
            _collect(model["shapes"], shape, shapes)
    parts = [_lines("operations", operations), _lines("shapes", dict(sorted(shapes.items())))]
    TABLE.write_text("{" + f'"version": "{VERSION}",\n' + ",\n".join(parts) + "}\n")
    return 0


def _collect(model: dict[str, dict], name: str, shapes: dict[str, object]) -> None:
    """A shape and those it is made of. A structure's members: name to [shape, name in a query, name in XML]."""
    if name in shapes:
        return
    shape = model[name]
    kind = shape["type"]
    if kind == "structure":
        members = {key: _member(key, member) for key, member in shape["members"].items()}
        shapes[name] = {"structure": members, "required": shape.get("required", [])}
        for member in members.values():
            _collect(model, member[0], shapes)
    elif kind == "list":
        shapes[name] = {"list": shape["member"]["shape"], "xml": shape["member"].get("locationName", "item")}
        _collect(model, shape["member"]["shape"], shapes)
    else:
        shapes[name] = kind


def _member(name: str, member: dict[str, str]) -> list[str]:
    xml = member.get("locationName", name)
    return [member["shape"], member.get("queryName") or xml[:1].upper() + xml[1:], xml]


def _lines(key: str, content: dict[str, object]) -> str:
    """One entry on each line, so that a change can be read."""
    entries = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    return f'"{key}": {{\n{entries}\n}}'


if __name__ == "__main__":
    sys.exit(main())
