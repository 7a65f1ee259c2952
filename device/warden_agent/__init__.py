"""The reference agent: what runs on a device of a fleet that Fleet Warden looks after."""
