"""What comes from outside, checked before anything else sees it: names, fields, JSON, evidence."""
