"""From a finding, a decision or a deadline to what is done about it."""
