"""Multipart uploads through the fronts, as far as parts fit: S3 wants 5 MiB of all but the last."""

from tests.clients.test_boto3_multipart import (
    test_a_bucket_with_an_open_upload,
    test_abort,
    test_complete_again_says_the_same,
    test_complete_and_abort_at_once_agree,
    test_complete_may_be_conditional,
    test_list_parts,
    test_list_uploads,
    test_nothing_shows_before_complete,
    test_the_last_attempt_at_a_part_counts,
    test_wrong_completions,
    upload,
)

__all__ = [
    "test_a_bucket_with_an_open_upload",
    "test_abort",
    "test_complete_again_says_the_same",
    "test_complete_and_abort_at_once_agree",
    "test_complete_may_be_conditional",
    "test_list_parts",
    "test_list_uploads",
    "test_nothing_shows_before_complete",
    "test_the_last_attempt_at_a_part_counts",
    "test_wrong_completions",
    "upload",
]
