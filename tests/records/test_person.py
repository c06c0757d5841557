from __future__ import annotations

from gateway.records.person import Login, Person, Role


def test_each_role_includes_itself_and_those_before_it() -> None:
    included = {(one, other) for one in Role for other in Role if one.includes(other)}
    assert included == {
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER), (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMIN, Role.VIEWER), (Role.ADMIN, Role.OPERATOR), (Role.ADMIN, Role.ADMIN),
    }  # fmt: skip


def test_only_a_login_of_ones_own_proves_a_name() -> None:
    named = {login for login in Login if Person("a", Role.VIEWER, "", login).is_named}
    assert named == {Login.CLIENT, Login.PASSWORD, Login.OIDC}
