"""The worklist engine, without input or output: items, matching, answers, character sets, rules of single scanners."""
