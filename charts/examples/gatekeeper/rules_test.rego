# What the rules of templates.yaml do where something is missing: they refuse. "go test ./bench/examples" takes the Rego out of the templates and
# runs this with "opa test --v0-compatible", since Gatekeeper reads a template's field rego as Rego of version 0.
package rules

import data.swellballoon
import data.swellconsumer
import data.swellowner

shop := {"cluster": {"v1": {"Namespace": {"shop": {"metadata": {"labels": {"team": "shop", "capacity.swell/enforce": "allowed"}}}}}}}

balloon(spec) = {"metadata": {"name": "web", "namespace": "shop", "labels": {"team": "shop"}}, "spec": spec}

limits := {"maxBalloons": 40, "quantiles": ["0.9", "0.99"]}

good := balloon({"max": 40, "target": {"quantile": "0.99"}})

test_a_balloon_within_the_limits {
	count(swellballoon.violation) == 0 with input as {"review": {"object": good}, "parameters": limits} with data.inventory as shop
}

test_no_limits_allow_nothing {
	count(swellballoon.violation) == 2 with input as {"review": {"object": good}, "parameters": {}} with data.inventory as shop
	count(swellballoon.violation) == 2 with input as {"review": {"object": good}} with data.inventory as shop
}

test_no_maximum_is_none {
	v := swellballoon.violation with input as {"review": {"object": balloon({"target": {"quantile": "0.99"}})}, "parameters": limits} with data.inventory as shop
	contains(v[_].msg, "spec.max is missing")
}

test_a_namespace_that_is_not_synced {
	v := swellballoon.violation with input as {"review": {"object": good}, "parameters": limits} with data.inventory as {}
	contains(v[_].msg, "may only observe")
	count(swellowner.violation) == 1 with input as {"review": {"object": good}} with data.inventory as {}
}

test_teams_without_a_name_own_nothing {
	nameless := {"cluster": {"v1": {"Namespace": {"shop": {"metadata": {"labels": {"team": ""}}}}}}}
	empty := json.patch(good, [{"op": "replace", "path": "/metadata/labels/team", "value": ""}])
	count(swellowner.violation) == 1 with input as {"review": {"object": empty}} with data.inventory as nameless
	of_nobody := {"metadata": {"namespace": "shop"}, "spec": {"kafka": {"cluster": "main", "group": ".orders"}}}
	count(swellconsumer.violation) == 1 with input as {"review": {"object": of_nobody}, "parameters": {"kafkaClusters": ["main"]}} with data.inventory as nameless
}

test_a_consumer_without_anything {
	count(swellconsumer.violation) == 2 with input as {"review": {"object": {"metadata": {"namespace": "shop"}, "spec": {"kafka": {}}}}} with data.inventory as shop
}
