"""The reference agent: runs on the devices of a fleet that Fleet Warden protects."""
