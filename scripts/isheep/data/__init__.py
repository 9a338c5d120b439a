"""The loop's data: instructions, responses, pairs, assessments, and the selection of what is trained on."""
