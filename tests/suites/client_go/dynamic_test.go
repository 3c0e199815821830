package clientgo

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

var (
	maps        = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	definitions = schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

func dynamicClient(t *testing.T) *dynamic.DynamicClient {
	t.Helper()
	client, err := dynamic.NewForConfig(config(t))
	must(t, err)
	return client
}

func anyMap(name string, data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": data}}
}

// defined makes a kind of its own with a status and a scale, and waits until it is served.
func defined(t *testing.T, client dynamic.Interface) schema.GroupVersionResource {
	t.Helper()
	group := "g" + rand.String(8) + ".example.net"
	number := map[string]any{"type": "integer"}
	object := func(name string) map[string]any {
		return map[string]any{"type": "object", "properties": map[string]any{name: number}}
	}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{
				"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"subresources": map[string]any{
					"status": map[string]any{},
					"scale": map[string]any{
						"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
				},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type":       "object",
					"properties": map[string]any{"spec": object("replicas"), "status": object("replicas")},
				}},
			}},
		},
	}}
	_, err := client.Resource(definitions).Create(ctx(t), definition, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		_ = client.Resource(definitions).Delete(ctx(t), "widgets."+group, metav1.DeleteOptions{})
	})
	kind := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}
	eventually(t, "the kind is served", func() bool {
		_, err := client.Resource(kind).List(ctx(t), metav1.ListOptions{})
		return err == nil
	})
	return kind
}

func widget(kind schema.GroupVersionResource, name string, replicas int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": kind.GroupVersion().String(), "kind": "Widget",
		"metadata": map[string]any{"name": name}, "spec": map[string]any{"replicas": replicas}}}
}

func TestObjectsWithoutATypeAreCreatedChangedAndDeleted(t *testing.T) {
	client := dynamicClient(t).Resource(maps).Namespace(namespace(t))
	made, err := client.Create(ctx(t), anyMap("a", map[string]any{"k": "1"}), metav1.CreateOptions{})
	must(t, err)
	must(t, unstructured.SetNestedField(made.Object, "2", "data", "k"))
	_, err = client.Update(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	read, err := client.Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	value, _, _ := unstructured.NestedString(read.Object, "data", "k")
	check(t, value == "2", "read %s", value)
	must(t, client.Delete(ctx(t), "a", metav1.DeleteOptions{}))
	_, err = client.Get(ctx(t), "a", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestObjectsWithoutATypeAreApplied(t *testing.T) {
	client := dynamicClient(t).Resource(maps).Namespace(namespace(t))
	options := metav1.ApplyOptions{FieldManager: "one"}
	for _, value := range []string{"1", "2"} {
		made, err := client.Apply(ctx(t), "a", anyMap("a", map[string]any{"k": value}), options)
		must(t, err)
		found, _, _ := unstructured.NestedString(made.Object, "data", "k")
		check(t, found == value, "it is %s", found)
	}
}

func TestAListWithoutATypeSaysItsKinds(t *testing.T) {
	client := dynamicClient(t).Resource(maps).Namespace(namespace(t))
	_, err := client.Create(ctx(t), anyMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	list, err := client.List(ctx(t), metav1.ListOptions{})
	must(t, err)
	check(t, list.GetKind() == "ConfigMapList" && list.GetResourceVersion() != "", "it is a %s", list.GetKind())
	check(t, list.Items[0].GetKind() == "ConfigMap", "an item is a %s", list.Items[0].GetKind())
}

func TestADefinedKindIsServedWithItsStatus(t *testing.T) {
	client := dynamicClient(t)
	kind := defined(t, client)
	widgets := client.Resource(kind).Namespace(namespace(t))
	made, err := widgets.Create(ctx(t), widget(kind, "a", 1), metav1.CreateOptions{})
	must(t, err)
	must(t, unstructured.SetNestedField(made.Object, int64(1), "status", "replicas"))
	made, err = widgets.UpdateStatus(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	replicas, _, _ := unstructured.NestedInt64(made.Object, "status", "replicas")
	check(t, replicas == 1, "the status says %d", replicas)
}

func TestADefinedKindIsHeldToItsSchema(t *testing.T) {
	client := dynamicClient(t)
	kind := defined(t, client)
	widgets := client.Resource(kind).Namespace(namespace(t))
	bad := widget(kind, "a", 1)
	must(t, unstructured.SetNestedField(bad.Object, "many", "spec", "replicas"))
	_, err := widgets.Create(ctx(t), bad, metav1.CreateOptions{})
	check(t, apierrors.IsInvalid(err), "got %v", err)
}

func TestADefinedKindIsPatchedAndPruned(t *testing.T) {
	client := dynamicClient(t)
	kind := defined(t, client)
	widgets := client.Resource(kind).Namespace(namespace(t))
	_, err := widgets.Create(ctx(t), widget(kind, "a", 1), metav1.CreateOptions{})
	must(t, err)
	patch := []byte(`{"spec": {"replicas": 2, "unknown": 3}}`)
	made, err := widgets.Patch(ctx(t), "a", types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
	spec, _, _ := unstructured.NestedMap(made.Object, "spec")
	check(t, len(spec) == 1 && spec["replicas"] == int64(2), "the spec is %v", spec)
}

func TestADefinedKindIsScaled(t *testing.T) {
	client, ns := dynamicClient(t), namespace(t)
	kind := defined(t, client)
	_, err := client.Resource(kind).Namespace(ns).Create(ctx(t), widget(kind, "a", 1), metav1.CreateOptions{})
	must(t, err)
	finder := discovery.NewDiscoveryClientForConfigOrDie(config(t))
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(finder))
	scales, err := scale.NewForConfig(config(t), mapper, dynamic.LegacyAPIPathResolverFunc,
		scale.NewDiscoveryScaleKindResolver(finder))
	must(t, err)
	found, err := scales.Scales(ns).Get(ctx(t), kind.GroupResource(), "a", metav1.GetOptions{})
	must(t, err)
	found.Spec.Replicas = 4
	found, err = scales.Scales(ns).Update(ctx(t), kind.GroupResource(), found, metav1.UpdateOptions{})
	must(t, err)
	check(t, found.Spec.Replicas == 4, "it has %d", found.Spec.Replicas)
}

func TestMetadataAloneIsReadAndPatched(t *testing.T) {
	ns := namespace(t)
	_, err := dynamicClient(t).Resource(maps).Namespace(ns).Create(
		ctx(t), anyMap("a", map[string]any{"k": "1"}), metav1.CreateOptions{})
	must(t, err)
	client, err := metadata.NewForConfig(config(t))
	must(t, err)
	patch := []byte(`{"metadata": {"labels": {"k": "1"}}}`)
	_, err = client.Resource(maps).Namespace(ns).Patch(
		ctx(t), "a", types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
	list, err := client.Resource(maps).Namespace(ns).List(ctx(t), metav1.ListOptions{LabelSelector: "k=1"})
	must(t, err)
	check(t, len(list.Items) == 1 && list.Items[0].Kind == "PartialObjectMetadata", "listed %v", list.Items)
}

func TestDiscoveryNamesAllThatIsServed(t *testing.T) {
	client := discovery.NewDiscoveryClientForConfigOrDie(config(t))
	groups, resources, err := client.ServerGroupsAndResources()
	must(t, err)
	check(t, len(groups) > 10 && len(resources) > 10, "%d groups, %d lists", len(groups), len(resources))
	preferred, err := client.ServerPreferredNamespacedResources()
	must(t, err)
	check(t, len(preferred) > 5, "%d preferred lists", len(preferred))
}

func TestDiscoveryWithoutAggregationNamesTheSame(t *testing.T) {
	client := discovery.NewDiscoveryClientForConfigOrDie(config(t))
	plain := discovery.NewDiscoveryClientForConfigOrDie(config(t))
	plain.UseLegacyDiscovery = true
	groups, _, err := client.ServerGroupsAndResources()
	must(t, err)
	others, _, err := plain.ServerGroupsAndResources()
	must(t, err)
	// Kinds that other tests define come and go.
	builtIn := func(groups []*metav1.APIGroup) (count int) {
		for _, group := range groups {
			if len(group.Name) < 12 || group.Name[len(group.Name)-12:] != ".example.net" {
				count++
			}
		}
		return count
	}
	check(t, builtIn(groups) == builtIn(others), "%d and %d groups", builtIn(groups), builtIn(others))
}

func TestTheServerSaysItsVersion(t *testing.T) {
	version, err := discovery.NewDiscoveryClientForConfigOrDie(config(t)).ServerVersion()
	must(t, err)
	check(t, version.Major == "1" && version.Minor == "35", "it is %v", version)
}

func TestTheDocumentsOfOpenAPIAreServed(t *testing.T) {
	paths, err := discovery.NewDiscoveryClientForConfigOrDie(config(t)).OpenAPIV3().Paths()
	must(t, err)
	text, err := paths["apis/apps/v1"].Schema("application/json")
	must(t, err)
	check(t, len(text) > 10000, "the document has %d bytes", len(text))
}

func TestAMapperFindsResourcesOfKinds(t *testing.T) {
	client := dynamicClient(t)
	kind := defined(t, client)
	finder := memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config(t)))
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(finder), finder, nil)
	mapped, err := mapper.RESTMapping(schema.GroupKind{Group: kind.Group, Kind: "Widget"})
	must(t, err)
	check(t, mapped.Resource == kind && mapped.Scope.Name() == meta.RESTScopeNameNamespace, "it is %v", mapped)
	short, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: "deploy"})
	must(t, err)
	check(t, short.Resource == "deployments", "deploy is %v", short)
}
