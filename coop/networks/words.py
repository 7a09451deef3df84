"""The words of suggested aliases: short, friendly, free of double meanings, easy to say in any of our languages."""

ADJECTIVES = tuple(
    """
    able airy amber azure bold brave breezy bright brisk calm candid cheery clear clever copper coral cosy crisp
    curious daring deft eager early fair fond frank free fresh gentle glad golden grand green happy hazel humble
    indigo ivory jade jolly keen kind lilac lively loyal lucid lucky mellow merry mild misty modest neat nimble
    noble olive open patient placid plain poised proud quick quiet ready rosy round ruby sandy serene silver simple
    sincere smooth snowy soft solar spry steady sunny swift tawny teal tender tidy tranquil true trusty upbeat
    velvet violet vivid warm wise witty young zesty
    """.split()
)

NOUNS = tuple(
    """
    acorn alder anchor apple aspen atlas badger beacon birch brook bugle canyon cedar cello cherry cloud clover comet
    compass cove crane creek cricket delta dune ember falcon fern fiddle finch fjord forest fox garden ginger glacier
    grove harbor hare harp hazel heron hill horizon ibis iris island ivy jasmine juniper kestrel kite lagoon lantern
    lark laurel leaf lemon linden lotus lynx magpie maple marble marten meadow mint moon moss nectar nutmeg oak oasis
    ocean orchard otter owl oyster pear pebble pepper pine plum pond poplar prairie puffin quartz quill rain raven
    reed ridge river robin saffron sail salmon seal sequoia shell shore sorrel sparrow spring spruce star stone
    stream sun swallow swan tern thistle thyme tide topaz trail trout tulip valley walnut water wave willow wind
    wren zephyr
    """.split()
)
