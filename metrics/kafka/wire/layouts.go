package wire

import (
	"math"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// layout is what the answers of one kind look like, and how much of them is too much.
type layout struct {
	fields        []field
	size, decoded int64
}

type kind uint8

const (
	number kind = iota
	text
	blob
	list
	// one is a struct by itself.
	one
)

// field is one of an answer, of the versions that have it. Those with a tag stand behind the others; such of them as are numbers are left
// out here.
type field struct {
	kind     kind
	from, to int16
	tagged   bool
	tag      uint32
	// width is the length of a number, or of a list's element once decoded; elements that are no structs have one field, and no tags.
	width  int64
	fields []field
	plain  bool
}

func num(width int64) field { return field{kind: number, width: width, to: math.MaxInt16} }

func str() field { return field{kind: text, to: math.MaxInt16} }

func raw() field { return field{kind: blob, to: math.MaxInt16} }

// listOf is an array of structs.
func listOf[T any](fields ...field) field {
	var element T
	return field{kind: list, width: int64(unsafe.Sizeof(element)), fields: fields, to: math.MaxInt16}
}

// plainList is an array of numbers or strings.
func plainList[T any](of field) field {
	f := listOf[T](of)
	f.plain = true
	return f
}

func (f field) since(version int16) field { f.from = version; return f }

func (f field) until(version int16) field { f.to = version; return f }

// at makes it a tagged field.
func (f field) at(tag uint32) field { f.tagged, f.tag = true, tag; return f }

func greeting(fields ...field) layout { return layout{fields, maxGreeting, maxGreetingDecoded} }

func other(fields ...field) layout { return layout{fields, maxOther, maxOtherDecoded} }

// layouts are the answers to all that the client asks, by the request's key.
var layouts = map[int16]layout{
	int16(kmsg.ApiVersions):      apiVersions(),
	int16(kmsg.SASLHandshake):    greeting(num(2), plainList[string](str())),
	int16(kmsg.SASLAuthenticate): greeting(num(2), str(), raw(), num(8).since(1)),
	int16(kmsg.Metadata):         metadata(),
	int16(kmsg.FindCoordinator): other(num(4).since(1), num(2).until(3), str().since(1).until(3), num(4).until(3), str().until(3), num(4).until(3),
		listOf[kmsg.FindCoordinatorResponseCoordinator](str(), num(4), str(), num(4), num(2), str()).since(4)),
	int16(kmsg.OffsetFetch): offsetFetch(),
	int16(kmsg.ListOffsets): other(num(4).since(2), listOf[kmsg.ListOffsetsResponseTopic](str(),
		listOf[kmsg.ListOffsetsResponseTopicPartition](num(4), num(2), plainList[int64](num(8)).until(0), num(8).since(1), num(8).since(1), num(4).since(4)))),
	int16(kmsg.ListGroups): other(num(4).since(1), num(2),
		listOf[kmsg.ListGroupsResponseGroup](str(), str(), str().since(4), str().since(5))),
	int16(kmsg.DescribeConfigs): other(num(4), listOf[kmsg.DescribeConfigsResponseResource](num(2), str(), num(1), str(),
		listOf[kmsg.DescribeConfigsResponseResourceConfig](str(), str(), num(1), num(1).until(0), num(1).since(1), num(1),
			listOf[kmsg.DescribeConfigsResponseResourceConfigConfigSynonym](str(), str(), num(1)).since(1), num(1).since(3), str().since(3)))),
	int16(kmsg.DescribeShareGroupOffsets): other(num(4), listOf[kmsg.DescribeShareGroupOffsetsResponseGroup](str(),
		listOf[kmsg.DescribeShareGroupOffsetsResponseGroupTopic](str(), num(16),
			listOf[kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition](num(4), num(8), num(4), num(8).since(1), num(2), str())), num(2), str())),
	int16(kmsg.Fetch): fetch(),
}

func apiVersions() layout {
	return greeting(num(2), listOf[kmsg.ApiVersionsResponseApiKey](num(2), num(2), num(2)), num(4).since(1),
		listOf[kmsg.ApiVersionsResponseSupportedFeature](str(), num(2), num(2)).at(0).since(3),
		listOf[kmsg.ApiVersionsResponseFinalizedFeature](str(), num(2), num(2)).at(2).since(3))
}

func metadata() layout {
	ids := plainList[int32](num(4))
	return layout{[]field{num(4).since(3),
		listOf[kmsg.MetadataResponseBroker](num(4), str(), num(4), str().since(1)),
		str().since(2), num(4).since(1),
		listOf[kmsg.MetadataResponseTopic](num(2), str(), num(16).since(10), num(1).since(1),
			listOf[kmsg.MetadataResponseTopicPartition](num(2), num(4), num(4), num(4).since(7), ids, ids, ids.since(5)), num(4).since(8)),
		num(4).since(8).until(10), num(2).since(13)}, maxMetadata, maxMetadataDecoded}
}

func offsetFetch() layout {
	return other(num(4).since(3), listOf[kmsg.OffsetFetchResponseTopic](str(),
		listOf[kmsg.OffsetFetchResponseTopicPartition](num(4), num(8), num(4).since(5), str(), num(2))).until(7), num(2).since(2).until(7),
		listOf[kmsg.OffsetFetchResponseGroup](str(), listOf[kmsg.OffsetFetchResponseGroupTopic](str().until(9), num(16).since(10),
			listOf[kmsg.OffsetFetchResponseGroupTopicPartition](num(4), num(8), num(4), str(), num(2))), num(2)).since(8))
}

func fetch() layout {
	pair := func(first, second int64) field {
		return field{kind: one, fields: []field{num(first), num(second)}, to: math.MaxInt16}
	}
	return other(num(4).since(1), num(2).since(7), num(4).since(7), listOf[kmsg.FetchResponseTopic](str().until(12), num(16).since(13),
		listOf[kmsg.FetchResponseTopicPartition](num(4), num(2), num(8), num(8).since(4), num(8).since(5),
			listOf[kmsg.FetchResponseTopicPartitionAbortedTransaction](num(8), num(8)).since(4), num(4).since(11), raw(),
			pair(4, 8).at(0).since(12), pair(4, 4).at(1).since(12), pair(8, 4).at(2).since(12))),
		listOf[kmsg.FetchResponseBroker](num(4), str(), num(4), str()).at(0).since(12))
}
